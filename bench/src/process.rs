//! A server as a process: its addresses, what it uses, its end.

use std::{
    collections::BTreeMap,
    fs, io,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cores::Cores;

/// Time for an orderly end, before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// A child that is killed when it is dropped.
pub struct Process {
    name: String,
    child: Child,
}

/// CPU time of each thread, in ns.
#[derive(Debug, Clone, Default)]
pub struct Cpu(BTreeMap<u32, (String, u64)>);

/// CPU time by the names of threads, without their numbers, in ns.
pub type CpuByName = BTreeMap<String, u64>;

impl Process {
    /// On the server's core, if cores are given.
    pub fn start(command: &mut Command, cores: Option<Cores>) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null());
        let spawned = match cores {
            Some(cores) => cores.on_the_servers(|| command.spawn())?,
            None => command.spawn(),
        };
        let child = spawned.with_context(|| format!("cannot start `{name}`: is it built?"))?;
        Ok(Self { name, child })
    }

    /// What it writes to a standard output that was piped.
    pub fn stdout(&mut self) -> anyhow::Result<BufReader<ChildStdout>> {
        let stdout = self.child.stdout.take();
        stdout.map(BufReader::new).context("a pipe for its output")
    }

    /// Waits for a line `<what> <address>` from each of `whats`, in this order.
    pub fn addresses<const N: usize>(
        &mut self,
        whats: [&str; N],
    ) -> anyhow::Result<[SocketAddr; N]> {
        let mut lines = self.stdout()?.lines();
        let mut found = Vec::new();
        for what in whats {
            let Some(line) = lines.next().transpose()? else {
                bail!("`{}` ended before it said where it listens", self.name);
            };
            let address = line.strip_prefix(what).map(str::trim);
            let address = address.and_then(|address| address.parse().ok());
            found.push(address.with_context(|| format!("`{}` said: {line}", self.name))?);
        }
        Ok(std::array::from_fn(|number| found[number]))
    }

    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    pub fn cpu(&self) -> anyhow::Result<Cpu> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let path = entry?.path();
            let id = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            let id = id.context("a number of a thread")?;
            // One may end while the others are read.
            if let (Ok(name), Ok(times)) = (
                fs::read_to_string(path.join("comm")),
                fs::read_to_string(path.join("schedstat")),
            ) {
                let busy = times.split(' ').next().and_then(|busy| busy.parse().ok());
                let busy = busy.context(
                    "this kernel does not tell the CPU time of threads: it lacks CONFIG_SCHED_INFO",
                )?;
                threads.insert(id, (without_number(name.trim()).to_owned(), busy));
            }
        }
        Ok(Cpu(threads))
    }

    /// Resident memory in bytes.
    pub fn rss(&self) -> anyhow::Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most that it has been since [`Self::forget_peak_rss`].
    pub fn peak_rss(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM:")
    }

    pub fn forget_peak_rss(&self) -> anyhow::Result<()> {
        let file = format!("/proc/{}/clear_refs", self.child.id());
        fs::write(&file, "5").with_context(|| format!("cannot write to `{file}`"))
    }

    /// The part of it that is in no file: what the kernel cannot take back.
    pub fn own_rss(&self) -> anyhow::Result<u64> {
        self.memory("RssAnon:")
    }

    fn memory(&self, name: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .with_context(|| format!("`{}` has ended", self.name))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kib.context("its resident memory")? << 10)
    }

    /// In order, if it does not take long.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let asked = Instant::now();
        while self.is_running()? {
            if asked.elapsed() > STOP_PATIENCE {
                bail!("`{}` does not end when it is told to", self.name);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// At once; waits until it is gone.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = self.child.id().cast_signed();
        let id = Pid::from_raw(id).ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(id, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cpu {
    /// What was used after `before`.
    pub fn since(&self, before: &Self) -> CpuByName {
        let mut sums = CpuByName::new();
        for (id, (name, busy)) in &self.0 {
            let until_then = before.0.get(id).map_or(0, |(_, busy)| *busy);
            *sums.entry(name.clone()).or_default() += busy.saturating_sub(until_then);
        }
        sums
    }
}

/// `fanout-0` and `fanout-1` are one part of a server.
fn without_number(name: &str) -> &str {
    name.trim_end_matches(|last: char| last.is_ascii_digit())
        .trim_end_matches('-')
}
