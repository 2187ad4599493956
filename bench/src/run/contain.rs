//! What guests that mean harm cost the others.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, bail};

use super::{Bench, digits, median, must_be_clean, quantile, reloads, row};
use crate::{
    load::{self, Crowd, Rate, Span},
    report::{Chapter, Figure, Page, Target as Wanted},
    rivals::Running,
    target::Target,
};

const SUBSCRIBERS: usize = 10;
const EVENTS_A_SECOND: f64 = 50.0;
/// Not those in which the server tells of faults: they quote names.
const STREAM: &str = "/api/events?type=system";

/// p99 of the others, in ms.
#[derive(Debug, Clone, Copy)]
struct Others {
    sink: f64,
    stream: f64,
}

impl Others {
    /// What they may be, if undisturbed they are like this.
    fn bound(self) -> Self {
        let bound = |ms: f64| (2.0 * ms).max(ms + 10.0);
        Self {
            sink: bound(self.sink),
            stream: bound(self.stream),
        }
    }
}

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let guests = tempfile::tempdir_in(&bench.args.setup.work)?;
    let names = write_guests(bench, guests.path())?;
    let mut others = Neighbours::start(bench)?;
    others.watch(bench)?;
    let quiet = others.watch(bench)?;
    let bound = quiet.bound();
    let mut under = Vec::new();
    for name in names {
        let seen = others.beside(bench, guests.path(), &name, bound)?;
        bench.say(&format!(
            "contain, {name}: sink p99 {} ms, stream p99 {} ms",
            digits(seen.sink),
            digits(seen.stream)
        ));
        under.push((name, seen));
    }
    let worst = |of: fn(Others) -> f64| {
        let shares = under.iter().map(|(_, seen)| of(*seen) / of(bound));
        shares.fold(0.0, f64::max)
    };
    let mut figures = vec![
        Figure::with_target(
            "worst p99 of another sink's delivery beside a hostile guest, of its bound",
            worst(|it| it.sink),
            "×",
            Wanted::AtMost(1.0),
        ),
        Figure::with_target(
            "worst p99 of SSE beside a hostile guest, of its bound",
            worst(|it| it.stream),
            "×",
            Wanted::AtMost(1.0),
        ),
    ];
    figures.extend(reloads::measure(bench)?);
    Ok(Chapter {
        title: "Containment",
        page: page(quiet, bound, &under),
        figures,
    })
}

/// Each as a file with its configuration; their names.
fn write_guests(bench: &Bench, folder: &Path) -> anyhow::Result<Vec<String>> {
    let program = &bench.args.hostile;
    let status = Command::new(program)
        .arg(folder)
        .status()
        .with_context(|| format!("`{}` is not built", program.display()))?;
    if !status.success() {
        bail!("`{}` failed: {status}", program.display());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "toml") {
            let name = path.file_stem().and_then(|name| name.to_str());
            names.push(name.context("a name in UTF-8")?.to_owned());
        }
    }
    names.sort();
    Ok(names)
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

/// A pipeline to a sink, and subscribers, who have done nothing wrong.
struct Neighbours {
    server: Running,
    target: Target,
    /// Of the sink behind hostile guests.
    _late: Target,
}

impl Neighbours {
    fn start(bench: &Bench) -> anyhow::Result<Self> {
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

    fn folder(&self) -> PathBuf {
        self.server.directory.path().join("plugins")
    }

    /// A guest that seems to cost more than it may is looked at three times: the median
    /// counts, since a disk or a virtual machine stalls by itself now and then.
    fn beside(
        &mut self,
        bench: &Bench,
        guests: &Path,
        name: &str,
        bound: Others,
    ) -> anyhow::Result<Others> {
        let mut looks = vec![self.look(bench, guests, name)?];
        if looks[0].sink > bound.sink || looks[0].stream > bound.stream {
            looks.push(self.look(bench, guests, name)?);
            looks.push(self.look(bench, guests, name)?);
        }
        let of = |it: fn(&Others) -> f64| median(looks.iter().map(it).collect());
        Ok(Others {
            sink: of(|it| it.sink),
            stream: of(|it| it.stream),
        })
    }

    fn look(&mut self, bench: &Bench, guests: &Path, name: &str) -> anyhow::Result<Others> {
        let put = put(guests, &self.folder(), name)?;
        let seen = self.watch(bench)?;
        put.into_iter().try_for_each(fs::remove_file)?;
        Ok(seen)
    }

    /// For a while, from now on: every event has to come to all of them.
    fn watch(&mut self, bench: &Bench) -> anyhow::Result<Others> {
        let mut publisher = self.server.publisher()?;
        let mut crowd = Crowd::connect(self.server.http, STREAM, SUBSCRIBERS)?;
        let seconds = if bench.args.quick { 3 } else { 10 };
        let span = Span {
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(seconds),
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
        Ok(Others {
            sink: quantile(&sink, 0.99) / 1_000.0,
            stream: quantile(&stream, 0.99) / 1_000.0,
        })
    }
}

fn page(quiet: Others, bound: Others, under: &[(String, Others)]) -> Page {
    let mut page = Page::default();
    page.text(format!(
        "{EVENTS_A_SECOND} events a second to {SUBSCRIBERS} subscribers and to the plugin \
         `webhook`, all on the server's one core: p99 from when an event was due until it was \
         read, and until the sink's request had come. Beside them, one after the other, guests \
         that mean harm are put into the plugins folder, each in a pipeline of its own that gets \
         the same events: they are compiled, started, called, dropped and put into quarantine \
         while this is measured. The bound is twice what is undisturbed, or 10 ms more; who seems \
         to be over it is looked at three times, and the median is told. \
         `core/tests/it/sandbox/hostile.rs` has the guests."
    ));
    let line = |name: &str, seen: Others| row([name, &digits(seen.sink), &digits(seen.stream)]);
    let mut rows = vec![
        row(["p99, ms", "another sink", "SSE"]),
        line("undisturbed", quiet),
        line("**bound**", bound),
    ];
    rows.extend(under.iter().map(|(name, seen)| line(name, *seen)));
    page.table(&rows);
    page
}
