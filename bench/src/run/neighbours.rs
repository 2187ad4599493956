//! A pipeline to a sink, and subscribers, who have done nothing wrong: what they
//! notice of a guest beside them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::bail;

use super::{Bench, median, mib, must_be_clean, quantile};
use crate::{
    load::{self, Crowd, Rate, Span},
    rivals::Running,
    target::Target,
};

pub const SUBSCRIBERS: usize = 10;
/// With these a p99 is of 500 events.
pub const EVENTS_A_SECOND: f64 = 125.0;
const LOOK: Duration = Duration::from_secs(4);
/// Not those in which the server tells of faults: they quote names.
const STREAM: &str = "/api/events?type=system";

pub struct Neighbours {
    server: Running,
    target: Target,
    /// Of the sink behind hostile guests.
    _late: Target,
}

/// What was seen in some seconds.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// p99 of a delivery to the sink and to subscribers, in ms.
    pub sink: f64,
    pub stream: f64,
    /// The server's most memory, above what it had before, in MiB.
    pub memory: f64,
}

impl Look {
    pub fn median(looks: &[Self]) -> Self {
        let of = |it: fn(&Self) -> f64| median(looks.iter().map(it).collect());
        Self {
            sink: of(|it| it.sink),
            stream: of(|it| it.stream),
            memory: of(|it| it.memory),
        }
    }
}

impl Neighbours {
    pub fn start(bench: &Bench) -> anyhow::Result<Self> {
        let (target, late) = (Target::start()?, Target::start()?);
        let sink = |name: &str, target: &Target| {
            format!(
                "[plugin.{name}]\nfile = \"builtin:webhook\"\nconfig.url = \"http://{0}/\"\n\
                 config.sign_with = []\ngrants.http = [\"http://{0}\"]\n\
                 grants.networks = [\"127.0.0.0/8\"]\n",
                target.address
            )
        };
        let toml = sink("good", &target)
            + &sink("late", &late)
            + "[pipeline.good]\nwhen.type = [\"system\"]\nsinks = [\"good\"]\n";
        Ok(Self {
            server: Running::with_plugins(&bench.args.setup, &toml, bench.cores)?,
            target,
            _late: late,
        })
    }

    /// The guest comes when this begins, and goes when it ends.
    pub fn beside(&self, guests: &Path, name: &str) -> anyhow::Result<Look> {
        let folder = self.server.directory.path().join("plugins");
        let process = &self.server.process;
        process.forget_peak_rss()?;
        let before = process.rss()?;
        let put = put(guests, &folder, name)?;
        let seen = self.watch(before)?;
        put.into_iter().try_for_each(fs::remove_file)?;
        Ok(seen)
    }

    /// Where the server keeps machine code.
    pub fn cache(&self) -> PathBuf {
        self.server.directory.path().join("cache")
    }

    pub fn undisturbed(&self) -> anyhow::Result<Look> {
        self.server.process.forget_peak_rss()?;
        self.watch(self.server.process.rss()?)
    }

    pub fn rss_mib(&self) -> anyhow::Result<f64> {
        Ok(mib(self.server.process.rss()?))
    }

    /// From now on every event has to come to all of them.
    fn watch(&self, before: u64) -> anyhow::Result<Look> {
        let mut publisher = self.server.publisher()?;
        let mut crowd = Crowd::connect(self.server.http, STREAM, SUBSCRIBERS)?;
        let span = Span {
            warm_up: Duration::ZERO,
            measured: LOOK,
        };
        let rate = Rate(EVENTS_A_SECOND);
        let stream = load::open_loop(&mut crowd, &mut publisher, rate, span)?;
        must_be_clean(&crowd.tally)?;
        let mut sink = Vec::new();
        for number in 0..publisher.acknowledged {
            let (message, came) = self.target.next()?;
            if u64::from(message.number) != number {
                bail!("{message:?} came to the sink instead of number {number}");
            }
            sink.push(crowd.us_at(came).saturating_sub(message.note));
        }
        sink.sort_unstable();
        Ok(Look {
            sink: quantile(&sink, 0.99) / 1_000.0,
            stream: quantile(&stream, 0.99) / 1_000.0,
            memory: mib(self.server.process.peak_rss()?.saturating_sub(before)),
        })
    }
}

/// Into the plugins folder, as an editor does; what to remove again.
fn put(from: &Path, folder: &Path, name: &str) -> anyhow::Result<[PathBuf; 2]> {
    let files = ["toml", "wasm"].map(|ending| format!("{name}.{ending}"));
    for file in &files {
        let unfinished = folder.join(format!(".{file}"));
        fs::copy(from.join(file), &unfinished)?;
        fs::rename(unfinished, folder.join(file))?;
    }
    Ok(files.map(|file| folder.join(file)))
}
