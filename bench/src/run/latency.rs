//! How long a delivery takes at a moderate rate.

use std::{collections::BTreeMap, time::Duration};

use super::{Bench, digits, median, must_be_clean, quantile, row};
use crate::{
    load::{self, Crowd, Rate, Span},
    report::{Bars, Chapter, Figure, Page, Scale, Target},
    rivals::Rival,
};

const SUBSCRIBERS: usize = 1_000;
const DELIVERIES_A_SECOND: f64 = 20_000.0;

/// Of one run, in ms.
#[derive(Debug, Clone, Copy)]
struct Latency {
    p50: f64,
    p99: f64,
}

type Results = BTreeMap<Rival, Vec<Latency>>;

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let mut results = Results::new();
    for _ in 0..bench.repetitions() {
        for rival in Rival::ALL {
            let latency = run(bench, rival)?;
            bench.say(&format!(
                "latency, {}: p50 {} ms, p99 {} ms",
                rival.name(),
                digits(latency.p50),
                digits(latency.p99)
            ));
            results.entry(rival).or_default().push(latency);
        }
    }
    let p99 = |rival: Rival| median(results[&rival].iter().map(|it| it.p99).collect());
    let own = p99(Rival::Forge);
    let against = |rival: Rival, most| {
        let name = format!("latency p99 against {}", rival.name());
        Figure::with_target(name, own / p99(rival), "×", Target::AtMost(most))
    };
    Ok(Chapter {
        title: "Latency at 20,000 deliveries a second",
        page: page(&results),
        figures: vec![
            Figure::new("latency p99", own, "ms"),
            against(Rival::Raw, 1.15),
            against(Rival::Nchan, 0.7),
        ],
    })
}

fn run(bench: &Bench, rival: Rival) -> anyhow::Result<Latency> {
    let server = rival.start(&bench.args.setup, bench.cores)?;
    let mut publisher = server.publisher()?;
    let mut crowd = Crowd::connect(server.http, server.path, SUBSCRIBERS)?;
    let span = Span {
        warm_up: Duration::from_secs(1),
        measured: bench.span().measured * 2,
    };
    let rate = Rate(DELIVERIES_A_SECOND / SUBSCRIBERS as f64);
    let sorted = load::open_loop(&mut crowd, &mut publisher, rate, span)?;
    must_be_clean(&crowd.tally)?;
    Ok(Latency {
        p50: quantile(&sorted, 0.5) / 1_000.0,
        p99: quantile(&sorted, 0.99) / 1_000.0,
    })
}

fn page(results: &Results) -> Page {
    let mut page = Page::default();
    page.text(
        "1,000 subscribers, 20 messages a second at fixed times. Each delivery is timed from when \
         its message was due until the generator has read it; tiny-forge's includes its full sync \
         to disk.",
    );
    let mut bars = Bars::new("Latency of a delivery", "ms", Scale::Linear);
    bars.series = vec!["p50", "p99"];
    let mut rows = vec![row(["ms", "p50", "p99"])];
    for rival in Rival::ALL {
        let of = |it: fn(&Latency) -> f64| median(results[&rival].iter().map(it).collect());
        let (p50, p99) = (of(|it| it.p50), of(|it| it.p99));
        bars.group(rival.name(), vec![p50, p99]);
        rows.push(row([rival.name(), &digits(p50), &digits(p99)]));
    }
    page.plot("latency", &bars);
    page.table(&rows);
    page
}
