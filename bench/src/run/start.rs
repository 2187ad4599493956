//! The program by itself: its size, how fast it is there, what it holds at rest.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::{Bench, digits, median, mib};
use crate::{
    http::{self, Connection},
    process::Process,
    report::{Bars, Chapter, Figure, Page, Scale, Target},
};

/// Nobody's containers are counted.
pub const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

const PLUGINS: usize = 5;
const PLUGINS_TOML: &str = r#"
[plugin.slack]
file = "builtin:slack"
config.url = "https://hooks.slack.com/services/none"
grants.http = ["https://hooks.slack.com"]

[plugin.hook]
file = "builtin:webhook"
config.url = "https://hooks.example/none"
config.sign_with = []
grants.http = ["https://hooks.example"]

[plugin.rules]
file = "builtin:rules"
config.rules = [{ keep_if = 'severity >= "error"' }]

[plugin.quiet]
file = "quiet-hours.wasm"
config.from = "22:00"
config.to = "06:00"

[plugin.team]
file = "team.wasm"
config.owners.shop = "checkout"

[pipeline.alerts]
when.severity = "critical"
steps = ["rules", "quiet", "team"]
sinks = ["slack", "hook"]
"#;

const PATIENCE: Duration = Duration::from_secs(120);
/// What is at rest has had nothing to do for so long.
const QUIET: Duration = Duration::from_secs(3);

struct Started {
    process: Process,
    address: SocketAddr,
    began: Instant,
    /// To the first answer over HTTP, in ms.
    first_answer_ms: f64,
}

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let runs = if bench.args.quick { 5 } else { 15 };
    let size = fs::metadata(&bench.args.binary)
        .with_context(|| format!("`{}` is not built", bench.args.binary.display()))?
        .len();
    let empty = starts_ms(bench, runs)?;
    let bare = idle_memory(bench)?;
    let with_plugins = Plugged::measure(bench, runs)?;
    let events = events_over_http(bench)?;
    bench.say(&format!(
        "start: {} ms empty, {} ms with {PLUGINS} cached plugins, ready after {} ms; at rest {} MiB, without plugins {} MiB",
        digits(empty),
        digits(with_plugins.first_answer_ms),
        digits(with_plugins.ready_ms),
        digits(with_plugins.memory.resident_mib),
        digits(bare.resident_mib),
    ));
    let mut page = Page::default();
    page.text(
        "The release binary, without an engine. Plugins: three of the built-in ones and two of the \
         examples, in one pipeline. *Ready* is when all five run. Of the \
         memory, pages of the program's own file can be taken back by the kernel at any time.",
    );
    let mut bars = Bars::new("Time from the start of the process", "ms", Scale::Linear);
    bars.series = vec!["first answer", "plugins ready"];
    bars.group("no plugins, new data", vec![empty]);
    let Plugged {
        compiling_ms,
        first_answer_ms,
        ready_ms,
        memory,
    } = with_plugins;
    bars.group("five plugins, cached", vec![first_answer_ms, ready_ms]);
    page.plot("start", &bars);
    let figures = vec![
        Figure::new("binary", mib(size), "MiB"),
        Figure::new("start to first answer, new data", empty, "ms"),
        Figure::with_target(
            "start to first answer, 5 cached plugins",
            first_answer_ms,
            "ms",
            Target::AtMost(50.0),
        ),
        Figure::new("5 cached plugins ready", ready_ms, "ms"),
        Figure::new("5 plugins ready, compiling", compiling_ms, "ms"),
        Figure::new("idle memory, no plugin", bare.resident_mib, "MiB"),
        Figure::new(
            "idle memory, no plugin, without the program's pages",
            bare.own_mib,
            "MiB",
        ),
        Figure::with_target(
            "idle memory, 5 plugins",
            memory.resident_mib,
            "MiB",
            Target::AtMost(30.0),
        ),
        Figure::new(
            "idle memory, 5 plugins, without the program's pages",
            memory.own_mib,
            "MiB",
        ),
        Figure::new("commands over HTTP, each durable", events, "requests/s"),
    ];
    Ok(Chapter {
        title: "Start and rest",
        page,
        figures,
    })
}

impl Started {
    fn new(bench: &Bench, data: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(&bench.args.binary);
        command.arg("serve").arg("--data").arg(data);
        command.args(["--listen", "127.0.0.1:0", "--engine", NO_ENGINE]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let began = Instant::now();
        let mut process = Process::start(&mut command, Some(bench.cores))?;
        let [address] = process.addresses(["tiny-forge listens on http://"])?;
        Connection::open(address)?.get("/healthz")?;
        Ok(Self {
            process,
            address,
            began,
            first_answer_ms: began.elapsed().as_secs_f64() * 1_000.0,
        })
    }

    /// Waits until all plugins run; when that was, in ms.
    fn ready_ms(&self) -> anyhow::Result<f64> {
        let mut connection = Connection::open(self.address)?;
        loop {
            let body = connection.get("/api/plugins")?.body;
            let running = memchr::memmem::find_iter(&body, b"\"state\":\"running\"").count();
            if running == PLUGINS {
                return Ok(self.began.elapsed().as_secs_f64() * 1_000.0);
            }
            if self.began.elapsed() > PATIENCE {
                let said = String::from_utf8_lossy(&body);
                bail!("only {running} of {PLUGINS} plugins run: {said}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn at_rest(&self) -> anyhow::Result<Memory> {
        std::thread::sleep(QUIET);
        Ok(Memory {
            resident_mib: mib(self.process.rss()?),
            own_mib: mib(self.process.own_rss()?),
        })
    }
}

/// Of a server that has nothing to do.
#[derive(Debug, Clone, Copy)]
struct Memory {
    resident_mib: f64,
    /// Without pages of the program's file, which the kernel can take back.
    own_mib: f64,
}

impl Memory {
    fn median(seen: &[Self]) -> Self {
        let of = |it: fn(&Self) -> f64| median(seen.iter().map(it).collect());
        Self {
            resident_mib: of(|it| it.resident_mib),
            own_mib: of(|it| it.own_mib),
        }
    }
}

/// With five plugins.
struct Plugged {
    compiling_ms: f64,
    first_answer_ms: f64,
    ready_ms: f64,
    memory: Memory,
}

impl Plugged {
    fn measure(bench: &Bench, runs: usize) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(&bench.args.setup.work)?;
        let folder = directory.path().join("plugins");
        fs::create_dir(&folder)?;
        for file in ["quiet-hours.wasm", "team.wasm"] {
            let example = bench.args.examples.join(file);
            fs::copy(&example, folder.join(file))
                .with_context(|| format!("`{}`: run `make plugins`", example.display()))?;
        }
        fs::write(folder.join("bench.toml"), PLUGINS_TOML)?;
        // Once, to compile: what follows finds the machine code in the cache.
        let first = Started::new(bench, directory.path())?;
        let compiling_ms = first.ready_ms()?;
        first.process.stop()?;
        let (mut first_answer, mut ready) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let started = Started::new(bench, directory.path())?;
            first_answer.push(started.first_answer_ms);
            ready.push(started.ready_ms()?);
            started.process.stop()?;
        }
        let mut memory = Vec::new();
        for _ in 0..bench.repetitions() {
            let started = Started::new(bench, directory.path())?;
            started.ready_ms()?;
            memory.push(started.at_rest()?);
            started.process.stop()?;
        }
        Ok(Self {
            compiling_ms,
            first_answer_ms: median(first_answer),
            ready_ms: median(ready),
            memory: Memory::median(&memory),
        })
    }
}

/// On new data each time.
fn starts_ms(bench: &Bench, runs: usize) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let directory = tempfile::tempdir_in(&bench.args.setup.work)?;
        let started = Started::new(bench, directory.path())?;
        times.push(started.first_answer_ms);
        started.process.stop()?;
    }
    Ok(median(times))
}

fn idle_memory(bench: &Bench) -> anyhow::Result<Memory> {
    let mut seen = Vec::new();
    for _ in 0..bench.repetitions() {
        let directory = tempfile::tempdir_in(&bench.args.setup.work)?;
        let started = Started::new(bench, directory.path())?;
        seen.push(started.at_rest()?);
        started.process.stop()?;
    }
    Ok(Memory::median(&seen))
}

/// Each of these requests changes state, with its event, in a transaction of
/// its own that is on disk before the answer; 50 connections ask at a time.
fn events_over_http(bench: &Bench) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir_in(&bench.args.setup.work)?;
    let started = Started::new(bench, directory.path())?;
    let spec = r#"{"name": "bench", "spec": {"image": "bench:1"}}"#;
    let made =
        Connection::open(started.address)?.ask(&http::send("POST", "/api/projects", spec))?;
    if made.status != 201 {
        bail!("a project could not be made: {}", made.head);
    }
    let change = r#"{"spec": {"image": "bench:1"}}"#;
    let request = http::send("PUT", "/api/projects/bench/stages/prod", change);
    let process = &started.process;
    let seen = http::closed_loop(started.address, &request, 200, process, bench.span())?;
    Ok(seen.deliveries as f64 / seen.seconds)
}
