//! Resident memory of subscribers, at rest and after a burst.

use std::{collections::BTreeMap, thread, time::Duration};

use super::{Bench, digits, median, must_be_clean, row};
use crate::{
    load::{self, Crowd, Span, Window},
    report::{Bars, Chapter, Figure, Page, Scale, Target},
    rivals::Rival,
};

const SUBSCRIBERS: usize = 5_000;
const BURST: Window = Window(64);
/// Until what was only needed for a moment has been given back.
const AT_REST: Duration = Duration::from_secs(3);

/// Of one run, in bytes.
#[derive(Debug, Clone, Copy)]
struct Rss {
    alone: u64,
    with_subscribers: u64,
    after_burst: u64,
}

type Results = BTreeMap<Rival, Vec<Rss>>;

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let mut results = Results::new();
    for _ in 0..bench.repetitions() {
        for rival in Rival::ALL {
            let rss = run(bench, rival)?;
            bench.say(&format!(
                "memory, {}: {} KiB a subscriber, {} MiB after a burst",
                rival.name(),
                digits(each_kib(&rss)),
                digits(mib(rss.after_burst))
            ));
            results.entry(rival).or_default().push(rss);
        }
    }
    let own = |of: fn(&Rss) -> f64| median(results[&Rival::Forge].iter().map(of).collect());
    let figures = vec![
        Figure::with_target(
            "RSS per HTTP/1.1 subscriber",
            own(each_kib),
            "KiB",
            Target::AtMost(1.5),
        ),
        Figure::with_target(
            "RSS of 5,000 subscribers after a burst, above the server's own",
            own(|it| mib(it.after_burst.saturating_sub(it.alone))),
            "MiB",
            Target::AtMost(16.0),
        ),
        Figure::new(
            "RSS of the server with 5,000 subscribers after a burst",
            own(|it| mib(it.after_burst)),
            "MiB",
        ),
    ];
    Ok(Chapter {
        title: "Memory of subscribers",
        page: page(&results),
        figures,
    })
}

fn run(bench: &Bench, rival: Rival) -> anyhow::Result<Rss> {
    let server = rival.start(&bench.args.setup, bench.cores)?;
    let mut publisher = server.publisher()?;
    // What the first connection needs is not counted to subscribers.
    drop(Crowd::connect(server.http, server.path, 1)?);
    thread::sleep(AT_REST);
    let alone = server.process.rss()?;
    let mut crowd = Crowd::connect(server.http, server.path, SUBSCRIBERS)?;
    thread::sleep(AT_REST);
    let with_subscribers = server.process.rss()?;
    let span = Span {
        warm_up: Duration::ZERO,
        measured: bench.span().measured,
    };
    load::closed_loop(&mut crowd, &mut publisher, None, BURST, span)?;
    must_be_clean(&crowd.tally)?;
    Ok(Rss {
        alone,
        with_subscribers,
        after_burst: server.process.rss()?,
    })
}

fn each_kib(rss: &Rss) -> f64 {
    let more = rss.with_subscribers.saturating_sub(rss.alone);
    more as f64 / 1024.0 / SUBSCRIBERS as f64
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn page(results: &Results) -> Page {
    let mut page = Page::default();
    page.text(
        "Resident memory of the server: alone, with 5,000 subscribers at rest, and after bursts of \
         64 messages to all of them. tiny-forge also keeps the newest part of its journal in \
         memory, 16 MiB at most, which a burst fills.",
    );
    let mut bars = Bars::new(
        "Resident memory with 5,000 subscribers",
        "MiB",
        Scale::Linear,
    );
    bars.series = vec!["alone", "at rest", "after a burst"];
    let mut rows = vec![row([
        "MiB",
        "alone",
        "at rest",
        "after a burst",
        "KiB a subscriber",
    ])];
    for rival in Rival::ALL {
        let of = |it: fn(&Rss) -> f64| median(results[&rival].iter().map(it).collect());
        let values = [
            of(|it| mib(it.alone)),
            of(|it| mib(it.with_subscribers)),
            of(|it| mib(it.after_burst)),
        ];
        let [alone, at_rest, after] = values.map(digits);
        let each = digits(of(each_kib));
        rows.push(row([rival.name(), &alone, &at_rest, &after, &each]));
        bars.group(rival.name(), values.to_vec());
    }
    page.plot("memory", &bars);
    page.table(&rows);
    page
}
