//! What guests that mean harm cost the others.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, bail};

use super::{
    Bench, digits,
    neighbours::{EVENTS_A_SECOND, Look, Neighbours, SUBSCRIBERS},
    reloads, row, tampered,
};
use crate::report::{Bars, Chapter, Figure, Page, Scale, Target};

/// Of which the median counts.
const LOOKS: usize = 3;
/// What a guest's own limits allow it if nothing is set, in MiB: `limits.memory_mib`.
const GUEST_MIB: f64 = 64.0;
/// What the server may need besides, because of it.
const HOST_MIB: f64 = 64.0;

/// p99 that others may have, in ms.
#[derive(Debug, Clone, Copy)]
struct Bound {
    sink: f64,
    stream: f64,
}

impl Bound {
    fn of(quiet: Look) -> Self {
        let bound = |ms: f64| (2.0 * ms).max(ms + 10.0);
        Self {
            sink: bound(quiet.sink),
            stream: bound(quiet.stream),
        }
    }

    fn holds(self, seen: Look) -> bool {
        seen.sink <= self.sink && seen.stream <= self.stream
    }
}

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let guests = tempfile::tempdir_in(&bench.args.setup.work)?;
    let names = write_guests(bench, guests.path())?;
    let others = Neighbours::start(bench)?;
    // Until connections are open and code is warm.
    others.undisturbed()?;
    let quiet: Vec<_> = (0..LOOKS)
        .map(|_| others.undisturbed())
        .collect::<Result<_, _>>()?;
    let (quiet, at_first) = (Look::median(&quiet), others.rss_mib()?);
    let bound = Bound::of(quiet);
    let mut under = Vec::new();
    for name in names {
        let seen = beside(bench, &others, guests.path(), &name, bound)?;
        bench.say(&format!(
            "contain, {name}: sink p99 {} ms, stream p99 {} ms, memory {} MiB",
            digits(seen.sink),
            digits(seen.stream),
            digits(seen.memory)
        ));
        under.push((name, seen));
    }
    let worst = |of: &dyn Fn(&Look) -> f64| {
        let seen = under.iter().map(|(_, seen)| of(seen));
        seen.fold(0.0, f64::max)
    };
    let mut figures = vec![
        Figure::must(
            "worst p99 of another sink's delivery beside a hostile guest, of its bound",
            worst(&|it| it.sink / bound.sink),
            "×",
            Target::AtMost(1.0),
        ),
        Figure::must(
            "worst p99 of SSE beside a hostile guest, of its bound",
            worst(&|it| it.stream / bound.stream),
            "×",
            Target::AtMost(1.0),
        ),
        Figure::must(
            "most RSS beside a hostile guest, above that before it",
            worst(&|it| it.memory),
            "MiB",
            Target::AtMost(GUEST_MIB + HOST_MIB),
        ),
        Figure::must(
            "RSS after all hostile guests, above that before them",
            (others.rss_mib()? - at_first).max(0.0),
            "MiB",
            Target::AtMost(HOST_MIB),
        ),
    ];
    drop(others);
    let mut page = page(quiet, bound, &under);
    figures.extend(reloads::measure(bench, &mut page)?);
    Ok(Chapter {
        title: "Containment",
        page,
        figures,
    })
}

/// A quick run looks again only where a guest seems to cost more than it may: a disk
/// or a virtual machine stalls by itself now and then.
fn beside(
    bench: &Bench,
    others: &Neighbours,
    guests: &Path,
    name: &str,
    bound: Bound,
) -> anyhow::Result<Look> {
    let look = || match name {
        tampered::NAME => tampered::beside(others, guests),
        _ => others.beside(guests, name),
    };
    let mut looks = vec![look()?];
    if !bench.args.quick || !bound.holds(looks[0]) {
        while looks.len() < LOOKS {
            looks.push(look()?);
        }
    }
    Ok(Look::median(&looks))
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
    tampered::write(&bench.args.examples, folder)?;
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

fn page(quiet: Look, bound: Bound, under: &[(String, Look)]) -> Page {
    let mut page = Page::default();
    page.text(format!(
        "{EVENTS_A_SECOND} events a second to {SUBSCRIBERS} subscribers and to the plugin \
         `webhook`, all on the server's one core: p99 from when an event was due until it was \
         read, and until the sink's request had come. Beside them, one after the other, guests \
         that mean harm are put into the plugins folder, each in a pipeline of its own that gets \
         the same events: they are compiled, started, called, dropped and put into quarantine \
         while this is measured, for four seconds. The bound is twice what is undisturbed, or 10 \
         ms more. Memory is the most that the server had, as the kernel accounts for it, above \
         what it had before: the guest's own {GUEST_MIB} MiB, if nothing else is set, and {HOST_MIB} \
         MiB of the server's are allowed. Plugins are compiled by a process of its own, with a \
         limit of its own, whose memory is not in it. The median of three looks counts, also of \
         what is undisturbed; in a quick run a guest is looked at again only if it is over the \
         bound. `core/tests/it/sandbox/hostile.rs` has the guests; \
         `tampered-cache` is a harmless one whose machine code in the cache was changed since it \
         ran."
    ));
    let mut delays = Bars::new("p99 beside hostile guests", "ms", Scale::Linear);
    delays.series = vec!["another sink", "SSE"];
    let mut memory = Bars::new("Memory beside hostile guests", "MiB", Scale::Linear);
    memory.series = vec!["RSS above that before"];
    let mut rows = vec![row(["", "another sink, ms", "SSE, ms", "memory, MiB"])];
    let most = GUEST_MIB + HOST_MIB;
    let mut line = |name: &str, sink, stream, mib| {
        delays.group(name, vec![sink, stream]);
        memory.group(name, vec![mib]);
        rows.push(row([name, &digits(sink), &digits(stream), &digits(mib)]));
    };
    line("bound", bound.sink, bound.stream, most);
    line("undisturbed", quiet.sink, quiet.stream, quiet.memory);
    for (name, seen) in under {
        line(name, seen.sink, seen.stream, seen.memory);
    }
    page.plot("contain", &delays);
    page.plot("contain-memory", &memory);
    page.table(&rows);
    page
}
