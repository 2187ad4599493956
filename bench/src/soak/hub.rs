use std::{
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::{
    http::{self, Connection},
    message::Scanner,
    process::Process,
    rivals::{self, Setup},
};

const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Shorter lives say nothing about memory.
const SAMPLES_MIN: usize = 9;
/// Memory may grow by a fifth and by this much: caches fill.
const SLACK_BYTES: u64 = 8 << 20;

/// The server under test: killed and started again on the same data, at the
/// same addresses.
pub struct Hub {
    program: PathBuf,
    directory: TempDir,
    pub http: SocketAddr,
    pub control: SocketAddr,
    process: Option<Process>,
    /// Resident memory in this life, in bytes.
    samples: Vec<u64>,
    last_sample: Instant,
}

impl Hub {
    pub fn start(setup: &Setup) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("soak-")
            .tempdir_in(&setup.work)?;
        let mut hub = Self {
            program: setup.hub.clone(),
            directory,
            http: rivals::free_address()?,
            control: rivals::free_address()?,
            process: None,
            samples: Vec::new(),
            last_sample: Instant::now(),
        };
        hub.begin_life()?;
        Ok(hub)
    }

    /// Waits until it listens.
    pub fn begin_life(&mut self) -> anyhow::Result<()> {
        let mut command = rivals::hub(&self.program, self.directory.path());
        command
            .arg(format!("--listen={}", self.http))
            .arg(format!("--control={}", self.control))
            .stdout(Stdio::piped());
        let mut process = Process::start(&mut command, None)?;
        process.addresses(["http", "control"])?;
        self.process = Some(process);
        self.samples.clear();
        Ok(())
    }

    /// As a power cut does, but for the disk. Says how memory went.
    pub fn kill(&mut self) -> anyhow::Result<String> {
        let process = self.process.take().context("it runs")?;
        process.kill()?;
        self.memory()
    }

    /// In order.
    pub fn stop(mut self) -> anyhow::Result<String> {
        let process = self.process.take().context("it runs")?;
        process.stop()?;
        self.memory()
    }

    pub fn watch(&mut self) -> anyhow::Result<()> {
        let process = self.process.as_mut().context("it runs")?;
        if !process.is_running()? {
            bail!("the server has ended by itself: see what it says above");
        }
        if self.last_sample.elapsed() >= SAMPLE_EVERY {
            self.last_sample = Instant::now();
            self.samples.push(process.rss()?);
        }
        Ok(())
    }

    /// Of the last sample.
    pub fn rss_mib(&self) -> f64 {
        self.samples.last().map_or(0.0, |bytes| mib(*bytes))
    }

    /// Number of the newest message in the journal. What else the server
    /// has to say since is less than a page.
    pub fn newest(&self) -> anyhow::Result<Option<u32>> {
        let path = "/api/events?order=desc&limit=500";
        let request = http::get(path, "accept: application/json\r\n");
        let answer = Connection::open(self.http)?.ask(&request)?;
        let mut newest = None;
        Scanner::default().scan(&answer.body, |marked| {
            newest = newest.max(Some(marked.number));
        });
        Ok(newest)
    }

    /// Whether it stayed flat in this life.
    fn memory(&self) -> anyhow::Result<String> {
        let samples = &self.samples;
        if samples.len() < SAMPLES_MIN {
            return Ok("too short a life to judge its memory".to_owned());
        }
        let third = samples.len() / 3;
        let (first, last) = (
            median(&samples[..third]),
            median(&samples[samples.len() - third..]),
        );
        let course = format!("{:.1} → {:.1} MiB", mib(first), mib(last));
        if last > first + first / 5 + SLACK_BYTES {
            bail!("memory grows: {course}");
        }
        Ok(course)
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values[values.len() / 2]
}
