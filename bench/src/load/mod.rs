//! Many subscribers in one process, and one who publishes to them. Every
//! message is checked: none is lost, doubled or out of order.

mod closed;
mod crowd;
mod open;

pub use closed::{Window, closed_loop};
pub use crowd::{Crowd, Tally};
pub use open::{Rate, open_loop};

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::{
    process::{Cpu, CpuByName, Process},
    publisher::Publisher,
};

/// How long is measured, after how long a start.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub warm_up: Duration,
    pub measured: Duration,
}

/// What was seen between the two ends of a span.
#[derive(Debug, Clone)]
pub struct Seen {
    pub deliveries: u64,
    pub bytes: u64,
    pub seconds: f64,
    /// The server's, in ns; empty when no process was given.
    pub cpu: CpuByName,
}

impl Seen {
    /// The server's CPU time of a delivery, in µs: of the threads whose names
    /// are `counted`.
    pub fn cpu_us(&self, counted: impl Fn(&str) -> bool) -> f64 {
        let threads = self.cpu.iter().filter(|(name, _)| counted(name));
        let ns: u64 = threads.map(|(_, ns)| ns).sum();
        ns as f64 / 1_000.0 / self.deliveries as f64
    }
}

/// The beginning of what is measured.
struct Mark {
    since: Instant,
    cpu: Cpu,
    deliveries: u64,
    bytes: u64,
}

impl Mark {
    fn set(process: Option<&Process>, tally: &Tally) -> anyhow::Result<Self> {
        Ok(Self {
            cpu: process.map(Process::cpu).transpose()?.unwrap_or_default(),
            since: Instant::now(),
            deliveries: tally.deliveries,
            bytes: tally.bytes,
        })
    }

    fn seen(&self, process: Option<&Process>, tally: &Tally) -> anyhow::Result<Seen> {
        let now = Self::set(process, tally)?;
        Ok(Seen {
            deliveries: now.deliveries - self.deliveries,
            bytes: now.bytes - self.bytes,
            seconds: (now.since - self.since).as_secs_f64(),
            cpu: now.cpu.since(&self.cpu),
        })
    }
}

/// Somebody gets something within this time, unless what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Notices when nothing comes any more.
struct Watchdog {
    deliveries: u64,
    since: Instant,
}

impl Watchdog {
    fn new() -> Self {
        Self {
            deliveries: 0,
            since: Instant::now(),
        }
    }

    fn look(&mut self, tally: &Tally) -> anyhow::Result<()> {
        if tally.deliveries != self.deliveries {
            self.deliveries = tally.deliveries;
            self.since = Instant::now();
        } else if self.since.elapsed() > PATIENCE {
            bail!(
                "nothing comes any more after {} deliveries: {}",
                tally.deliveries,
                tally.faults()
            );
        }
        Ok(())
    }
}

/// Waits until everything that was published has come to everybody.
fn drain(crowd: &mut Crowd, publisher: &mut Publisher, published: u64) -> anyhow::Result<()> {
    let mut watchdog = Watchdog::new();
    let wanted = published * crowd.len() as u64;
    while crowd.tally.deliveries < wanted || !publisher.is_idle() {
        crowd.turn(publisher, Some(Duration::from_millis(100)))?;
        watchdog.look(&crowd.tally)?;
    }
    Ok(())
}
