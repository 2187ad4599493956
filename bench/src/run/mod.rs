//! Measures everything, one thing after the other, and writes the report.

mod append;
mod contain;
mod copying;
mod disk;
mod fanout;
mod files;
mod guests;
mod latency;
mod memory;
mod neighbours;
mod ready;
mod reloads;
mod replay;
mod rules;
mod sqlite;
mod start;
mod tampered;
mod wire;

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{
    cores::Cores,
    load::{Span, Tally},
    report::{self, Bars, Chapter, Figure, Page, Scale},
    rivals::Setup,
};

/// How long it is listened to what others do, and what is still quiet, in cores.
const LISTENING: Duration = Duration::from_secs(3);
const OTHERS_MAX: f64 = 0.2;

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    setup: Setup,
    /// The release binary
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// The dashboard that is in the binary
    #[arg(long, value_name = "DIR")]
    web: PathBuf,
    /// Plugins for the start, besides the built-in ones
    #[arg(long, value_name = "DIR")]
    examples: PathBuf,
    /// The built `hostile` example
    #[arg(long, value_name = "FILE")]
    hostile: PathBuf,
    /// The built `guests` example
    #[arg(long, value_name = "FILE")]
    guests: PathBuf,
    #[command(flatten)]
    extism: guests::Extism,
    /// Where the report is written
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Less exact, in a few minutes
    #[arg(long)]
    quick: bool,
    /// Figures that others have measured, to be reported too: the median of those with one name
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
    /// Only these chapters
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Fanout,
    Latency,
    Memory,
    Append,
    Replay,
    Files,
    Start,
    Guests,
    Rules,
    Wire,
    Contain,
}

impl Part {
    const ALL: [Self; 11] = [
        Self::Fanout,
        Self::Latency,
        Self::Memory,
        Self::Append,
        Self::Replay,
        Self::Files,
        Self::Start,
        Self::Guests,
        Self::Rules,
        Self::Wire,
        Self::Contain,
    ];

    fn measure(self, bench: &Bench) -> anyhow::Result<Chapter> {
        match self {
            Self::Fanout => fanout::measure(bench),
            Self::Latency => latency::measure(bench),
            Self::Memory => memory::measure(bench),
            Self::Append => append::measure(bench),
            Self::Replay => replay::measure(bench),
            Self::Files => files::measure(bench),
            Self::Start => start::measure(bench),
            Self::Guests => guests::measure(bench),
            Self::Rules => rules::measure(bench),
            Self::Wire => wire::measure(bench),
            Self::Contain => contain::measure(bench),
        }
    }
}

/// What all measurements need.
struct Bench {
    args: RunArgs,
    cores: Cores,
    began: Instant,
    /// Cores that others kept busy before it began.
    others: f64,
}

pub fn run(args: RunArgs) -> anyhow::Result<()> {
    let cores = Cores::find()?;
    cores.pin_generator()?;
    let bench = Bench {
        args,
        cores,
        began: Instant::now(),
        others: others()?,
    };
    let only = &bench.args.only;
    let mut chapters = Vec::new();
    for part in Part::ALL {
        if only.is_empty() || only.contains(&part) {
            let measured = part.measure(&bench);
            chapters.push(measured.with_context(|| format!("{part:?} could not be measured"))?);
        }
    }
    chapters.extend(bench.others()?);
    report::write(&bench.args.out, &bench.conditions()?, &chapters)?;
    bench.say(&format!(
        "written to {}",
        bench.args.out.join("report.md").display()
    ));
    match report::missed(&chapters) {
        Some(missed) => bail!(missed),
        None => Ok(()),
    }
}

impl Bench {
    /// Runs of each measurement, of which the median counts.
    fn repetitions(&self) -> usize {
        if self.args.quick { 1 } else { 3 }
    }

    fn span(&self) -> Span {
        let (warm_up, measured) = if self.args.quick {
            (300, 1_000)
        } else {
            (500, 2_500)
        };
        Span {
            warm_up: Duration::from_millis(warm_up),
            measured: Duration::from_millis(measured),
        }
    }

    /// A line of progress.
    fn say(&self, line: &str) {
        let seconds = self.began.elapsed().as_secs();
        eprintln!("{:3}:{:02}  {line}", seconds / 60, seconds % 60);
    }

    fn others(&self) -> anyhow::Result<Option<Chapter>> {
        let figures = report::read_figures(&self.args.also)?;
        let mut bars = Bars::new("Time of parts alone", "ns", Scale::Linear);
        bars.series = vec!["one event"];
        for figure in figures.iter().filter(|figure| figure.unit == "ns") {
            bars.group(&figure.name, vec![figure.value]);
        }
        let mut page = Page::default();
        page.plot("parts", &bars);
        let chapter = Chapter {
            title: "Parts, measured alone",
            page,
            figures,
        };
        Ok((!chapter.figures.is_empty()).then_some(chapter))
    }

    fn conditions(&self) -> anyhow::Result<String> {
        let info = read("/proc/cpuinfo")?;
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let model = model.map_or("", |model| model.trim_start_matches([' ', '\t', ':']));
        let kernel = read("/proc/sys/kernel/osrelease")?;
        let others = match self.others {
            quiet if quiet < OTHERS_MAX => String::new(),
            busy => format!(
                " **Others were at work on this machine ({busy:.1} cores at the start): this \
                 report is not to be trusted.**"
            ),
        };
        let quick = if self.args.quick {
            " This was a quick run, without repetitions: it shows whether all is well, and no more."
        } else {
            ""
        };
        Ok(format!(
            "Made by `make bench`; [README.md](README.md) says how. One core of {} for the server, \
             one for its load, Linux {}. Figures are of the machine and of what else it does: \
             compare ratios, and absolute figures only within one run.{quick}{others}",
            model.trim(),
            kernel.trim()
        ))
    }
}

/// Processor time that others take, in cores, over a moment.
fn others() -> anyhow::Result<f64> {
    let before = idle_and_all()?;
    thread::sleep(LISTENING);
    let after = idle_and_all()?;
    let (idle, all) = (after.0 - before.0, after.1 - before.1);
    let cores = thread::available_parallelism()?.get() as f64;
    Ok((1.0 - idle / all) * cores)
}

/// Of all processors since the start: without work, and in all.
fn idle_and_all() -> anyhow::Result<(f64, f64)> {
    let stat = read("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let times: Vec<f64> = line
        .split_whitespace()
        .filter_map(|time| time.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, …
    let idle = times.iter().skip(3).take(2).sum();
    Ok((idle, times.iter().sum()))
}

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"))
}

/// A run in which anything was lost is no measurement.
fn must_be_clean(tally: &Tally) -> anyhow::Result<()> {
    if tally.is_clean() {
        return Ok(());
    }
    bail!(
        "not every message came once and in order: {}",
        tally.faults()
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

/// Of sorted values: the smallest that `share` of them do not exceed.
fn quantile(sorted: &[u32], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(f64::NAN, |value| f64::from(*value))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Cells of a table.
fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Three digits.
fn digits(value: f64) -> String {
    Figure::new("", value, "").value.to_string()
}

#[cfg(test)]
mod tests {
    use super::{median, quantile};

    #[test]
    fn a_quantile_is_the_smallest_value_that_so_many_do_not_exceed() {
        let sorted: Vec<u32> = (1..=200).collect();
        assert_eq!(quantile(&sorted, 0.5), 100.0);
        assert_eq!(quantile(&sorted, 0.99), 198.0);
        assert_eq!(quantile(&sorted, 1.0), 200.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
    }
}
