//! What a plugin costs: a call of one that is warm, beside Extism, the load of a
//! compiled one, the memory of one at rest.

use std::{
    collections::BTreeMap,
    io::BufRead,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context;

use super::{Bench, digits, median, row};
use crate::{
    process::Process,
    report::{Bars, Chapter, Figure, Page, Scale, Target},
};

const CONFIG: &str = r#"{"from":"22:00","to":"06:00"}"#;
/// It drops the event, with a reason.
const CONFIG_DROPS: &str = r#"{"from":"12:00","to":"13:00"}"#;

/// Another host of plugins, and what it needs.
#[derive(Debug, clap::Args)]
pub struct Extism {
    /// The built program of `bench/peers/extism`
    #[arg(long, value_name = "FILE")]
    extism: PathBuf,
    /// Its guest
    #[arg(long, value_name = "FILE")]
    extism_guest: PathBuf,
    /// Extism's own library
    #[arg(long, value_name = "FILE")]
    extism_library: PathBuf,
}

/// Figures by their names.
type Figures = BTreeMap<String, f64>;

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let (mut own, mut dropping, mut extism) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.repetitions() {
        own.push(ask(bench, ours(bench, CONFIG).args(["--loads", "200"]))?);
        dropping.push(ask(bench, &mut ours(bench, CONFIG_DROPS))?);
        extism.push(ask(bench, &mut theirs(bench))?);
    }
    let of = |runs: &[Figures], name: &str| {
        let values = runs.iter().filter_map(|run| run.get(name).copied());
        median(values.collect())
    };
    let call = of(&own, "call_us");
    let (load, rest) = (of(&own, "load_ms"), of(&own, "instance_kib"));
    let rest_read = of(&dropping, "instance_kib");
    let their_call = of(&extism, "call_us");
    bench.say(&format!(
        "guests: {} µs a call, Extism {} µs; load {} ms; {} KiB at rest",
        digits(call),
        digits(their_call),
        digits(load),
        digits(rest)
    ));
    let figures = vec![
        Figure::with_target("warm call of a filter", call, "µs", Target::AtMost(0.7)),
        Figure::with_target(
            "warm call against Extism",
            their_call / call,
            "×",
            Target::AtLeast(10.0),
        ),
        Figure::with_target("load from the cache", load, "ms", Target::AtMost(2.0)),
        Figure::with_target("RSS per plugin at rest", rest, "KiB", Target::AtMost(32.0)),
        Figure::new("the same, once it has read its constants", rest_read, "KiB"),
        Figure::new(
            "warm call that drops the event with a reason",
            of(&dropping, "call_us"),
            "µs",
        ),
    ];
    Ok(Chapter {
        title: "Plugins",
        page: page(call, their_call),
        figures,
    })
}

fn ours(bench: &Bench, config: &str) -> Command {
    let mut command = Command::new(&bench.args.guests);
    command.arg("--wasm");
    command.arg(bench.args.examples.join("quiet-hours.wasm"));
    command.args(["--config", config, "--instances", "500"]);
    command.args(["--calls", calls(bench)]);
    command
}

fn theirs(bench: &Bench) -> Command {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Extism {
        extism,
        extism_guest,
        extism_library,
    } = &bench.args.extism;
    let mut command = Command::new(extism);
    // A name without a slash would be looked for in the system's folders.
    command.arg(absolute(extism_library)).arg(extism_guest);
    command.arg(calls(bench));
    command
}

fn calls(bench: &Bench) -> &'static str {
    if bench.args.quick {
        "200000"
    } else {
        "1000000"
    }
}

/// Lines of a name and a value.
fn ask(bench: &Bench, command: &mut Command) -> anyhow::Result<Figures> {
    let mut process = Process::start(command.stdout(Stdio::piped()), Some(bench.cores))?;
    let mut figures = Figures::new();
    for line in process.stdout()?.lines() {
        let line = line?;
        let figure = line.split_once(' ');
        let figure = figure.and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        let (name, value) = figure.with_context(|| format!("it said: {line}"))?;
        figures.insert(name, value);
    }
    anyhow::ensure!(!figures.is_empty(), "`{command:?}` measured nothing");
    Ok(figures)
}

fn page(call: f64, extism: f64) -> Page {
    let mut page = Page::default();
    page.text(
        "`examples/plugins/quiet-hours` decides about an event of 300 bytes, called as a pipeline \
         calls it, with all limits on; the CPU time of the calling thread. Extism's plugin decides \
         the same: a host hands it the event as JSON and reads its answer as JSON, with limits of \
         memory and time. *Load* is from the bytes of the `.wasm` to the first answer, by machine \
         code from the cache. At rest is a guest of its own that has been called once; 500 of them. \
         Pages that all guests of a plugin share, 12 KiB here, are counted to each that has read \
         from them, as one that has made a text has.",
    );
    let mut bars = Bars::new("CPU time of a call", "µs", Scale::Linear);
    bars.series = vec!["a warm call"];
    bars.group("tiny-forge", vec![call]);
    bars.group("Extism 1.41", vec![extism]);
    page.plot("guests", &bars);
    page.table(&[
        row(["µs", "a warm call"]),
        row(["tiny-forge", &digits(call)]),
        row(["Extism 1.41", &digits(extism)]),
    ]);
    page
}
