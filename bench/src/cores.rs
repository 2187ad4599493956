//! The server has one core to itself, whoever loads it another: what a figure
//! says is what one core does.

use anyhow::{Context, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two cores of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    server: usize,
    generator: usize,
}

impl Cores {
    /// The first two that this process may use.
    pub fn find() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None).context("which cores there are")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let (Some(server), Some(generator)) = (cores.next(), cores.next()) else {
            bail!(
                "this needs two cores, one for the server and one for its load: allow this process two"
            );
        };
        Ok(Self { server, generator })
    }

    /// Keeps this thread, and those that it starts, on the generator's core.
    pub fn pin_generator(self) -> anyhow::Result<()> {
        pin(self.generator)
    }

    /// What is started by `start` stays on the server's core for ever.
    pub fn on_the_servers<T>(self, start: impl FnOnce() -> T) -> anyhow::Result<T> {
        let before = sched_getaffinity(None).context("which cores this thread uses")?;
        pin(self.server)?;
        let started = start();
        sched_setaffinity(None, &before).context("cannot go back to this thread's cores")?;
        Ok(started)
    }
}

fn pin(core: usize) -> anyhow::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).with_context(|| format!("cannot keep a thread on core {core}"))
}
