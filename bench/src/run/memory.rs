//! Resident memory of subscribers, at rest and after a burst; how many there may be.

use std::{collections::BTreeMap, thread, time::Duration};

use super::{Bench, digits, fanout, median, mib, must_be_clean, row};
use crate::{
    load::{self, Crowd, Span, Window},
    report::{Bars, Chapter, Figure, Page, Scale, Target},
    rivals::Rival,
};

const SUBSCRIBERS: usize = 5_000;
/// Of tiny-forge alone: what it is to stand.
const MANY: usize = 10_000;
const BURST: Window = Window(64);
/// Until what was only needed for a moment has been given back.
const AT_REST: Duration = Duration::from_secs(3);

/// Of one run, in bytes.
#[derive(Debug, Clone, Copy)]
struct Rss {
    subscribers: usize,
    alone: u64,
    with_subscribers: u64,
    after_burst: u64,
}

/// A server, and how many subscribe to it.
type Case = (Rival, usize);

const OWN: Case = (Rival::Forge, SUBSCRIBERS);
const OWN_MANY: Case = (Rival::Forge, MANY);

type Results = BTreeMap<Case, Vec<Rss>>;

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let (mut results, mut rounds_ms) = (Results::new(), Vec::new());
    for _ in 0..bench.repetitions() {
        for case in cases() {
            let rss = run(bench, case)?;
            bench.say(&format!(
                "memory, {}: {} KiB a subscriber, {} MiB after a burst",
                name(case),
                digits(each_kib(&rss)),
                digits(mib(rss.after_burst))
            ));
            results.entry(case).or_default().push(rss);
        }
        rounds_ms.push(fanout::round_ms(bench, MANY)?);
    }
    let of = |case, of: fn(&Rss) -> f64| median(results[&case].iter().map(of).collect());
    let more = |it: &Rss| mib(it.after_burst.saturating_sub(it.alone));
    let figures = vec![
        Figure::with_target(
            "RSS per HTTP/1.1 subscriber",
            of(OWN, each_kib),
            "KiB",
            Target::AtMost(1.5),
        ),
        Figure::with_target(
            "RSS of 5,000 subscribers after a burst, above the server's own",
            of(OWN, more),
            "MiB",
            Target::AtMost(16.0),
        ),
        Figure::new(
            "RSS of the server with 5,000 subscribers after a burst",
            of(OWN, |it| mib(it.after_burst)),
            "MiB",
        ),
        Figure::with_target(
            "RSS per HTTP/1.1 subscriber, of 10,000",
            of(OWN_MANY, each_kib),
            "KiB",
            Target::AtMost(1.5),
        ),
        Figure::new(
            "RSS of 10,000 subscribers after a burst, above the server's own",
            of(OWN_MANY, more),
            "MiB",
        ),
        Figure::new("a message to all of 10,000", median(rounds_ms), "ms"),
    ];
    Ok(Chapter {
        title: "Memory of subscribers",
        page: page(&results),
        figures,
    })
}

fn cases() -> impl Iterator<Item = Case> {
    let all = Rival::ALL.map(|rival| (rival, SUBSCRIBERS));
    all.into_iter().chain([OWN_MANY])
}

fn name((rival, subscribers): Case) -> String {
    match subscribers {
        SUBSCRIBERS => rival.name().to_owned(),
        other => format!("{}, {} k", rival.name(), other / 1_000),
    }
}

fn run(bench: &Bench, (rival, subscribers): Case) -> anyhow::Result<Rss> {
    let server = rival.start(&bench.args.setup, bench.cores)?;
    let mut publisher = server.publisher()?;
    // What the first connection needs is not counted to subscribers.
    drop(Crowd::connect(server.http, server.path, 1)?);
    thread::sleep(AT_REST);
    let alone = server.process.rss()?;
    let mut crowd = Crowd::connect(server.http, server.path, subscribers)?;
    thread::sleep(AT_REST);
    let with_subscribers = server.process.rss()?;
    let span = Span {
        warm_up: Duration::ZERO,
        measured: bench.span().measured,
    };
    load::closed_loop(&mut crowd, &mut publisher, None, BURST, span)?;
    must_be_clean(&crowd.tally)?;
    Ok(Rss {
        subscribers,
        alone,
        with_subscribers,
        after_burst: server.process.rss()?,
    })
}

fn each_kib(rss: &Rss) -> f64 {
    let more = rss.with_subscribers.saturating_sub(rss.alone);
    more as f64 / 1024.0 / rss.subscribers as f64
}

fn page(results: &Results) -> Page {
    let mut page = Page::default();
    page.text(
        "Resident memory of the server: alone, with 5,000 subscribers at rest, and after bursts of \
         64 messages to all of them; tiny-forge's also with 10,000. tiny-forge also keeps the newest part of its journal in \
         memory, 16 MiB at most, which a burst fills.",
    );
    let mut bars = Bars::new(
        "Resident memory with 5,000 subscribers and more",
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
    for case in cases() {
        let (name, runs) = (name(case), &results[&case]);
        let of = |it: fn(&Rss) -> f64| median(runs.iter().map(it).collect());
        let values = [
            of(|it| mib(it.alone)),
            of(|it| mib(it.with_subscribers)),
            of(|it| mib(it.after_burst)),
        ];
        let [alone, at_rest, after] = values.map(digits);
        let each = digits(of(each_kib));
        rows.push(row([&name, &alone, &at_rest, &after, &each]));
        bars.group(name, values.to_vec());
    }
    page.plot("memory", &bars);
    page.table(&rows);
    page
}
