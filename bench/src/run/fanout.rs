//! CPU time of each delivery, for few and many subscribers, one message at a
//! time and in bursts, with the journal attached.

use std::collections::BTreeMap;

use super::{Bench, digits, median, must_be_clean, row};
use crate::{
    load::{self, Crowd, Seen, Window},
    report::{Bars, Chapter, Figure, Page, Scale, Target},
    rivals::Rival,
};

const SUBSCRIBERS: [usize; 3] = [100, 1_000, 5_000];
const ONE: Window = Window(1);
const BURST: Window = Window(256);

/// How the names of tiny-forge's threads begin.
const FANOUT: &str = "fanout";
const TOKIO: &str = "tokio";
/// They write the journal: what they use is named apart.
const STORE: &str = "store";

/// One cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    window: Window,
    subscribers: usize,
    rival: Rival,
}

type Results = BTreeMap<Case, Vec<Seen>>;

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let mut results = Results::new();
    // All servers in turn, so that what else the machine does meets all.
    for repetition in 1..=bench.repetitions() {
        for (window, subscribers) in shapes() {
            for rival in Rival::ALL {
                let case = Case {
                    window,
                    subscribers,
                    rival,
                };
                let seen = run(bench, case)?;
                bench.say(&format!(
                    "fan-out {repetition}/{}, {}: {} µs a delivery, {} deliveries/s",
                    bench.repetitions(),
                    case.name(),
                    digits(cpu_us(&seen)),
                    digits(seen.deliveries as f64 / seen.seconds),
                ));
                results.entry(case).or_default().push(seen);
            }
        }
    }
    Ok(Chapter {
        title: "Fan-out: CPU time of a delivery",
        page: page(&results),
        figures: figures(&results),
    })
}

fn shapes() -> impl Iterator<Item = (Window, usize)> {
    [ONE, BURST]
        .into_iter()
        .flat_map(|window| SUBSCRIBERS.map(|subscribers| (window, subscribers)))
}

impl Case {
    fn name(&self) -> String {
        format!(
            "{}, N={}, W={}",
            self.rival.name(),
            self.subscribers,
            self.window.0
        )
    }
}

fn run(bench: &Bench, case: Case) -> anyhow::Result<Seen> {
    let server = case.rival.start(&bench.args.setup, bench.cores)?;
    let mut publisher = server.publisher()?;
    let mut crowd = Crowd::connect(server.http, server.path, case.subscribers)?;
    let process = Some(&server.process);
    let seen = load::closed_loop(
        &mut crowd,
        &mut publisher,
        process,
        case.window,
        bench.span(),
    )?;
    must_be_clean(&crowd.tally)?;
    Ok(seen)
}

/// From one message to the next, if everybody has got the first by then, in ms.
pub(super) fn round_ms(bench: &Bench, subscribers: usize) -> anyhow::Result<f64> {
    let case = Case {
        window: ONE,
        subscribers,
        rival: Rival::Forge,
    };
    let seen = run(bench, case)?;
    let rounds = seen.deliveries as f64 / subscribers as f64;
    Ok(seen.seconds * 1_000.0 / rounds)
}

/// Without the journal, which no other server has.
fn cpu_us(seen: &Seen) -> f64 {
    seen.cpu_us(|thread| !thread.starts_with(STORE))
}

fn typical(results: &Results, case: Case, of: impl Fn(&Seen) -> f64) -> f64 {
    median(results[&case].iter().map(of).collect())
}

fn figures(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (window, subscribers) in shapes() {
        let cpu = |rival| {
            let case = Case {
                window,
                subscribers,
                rival,
            };
            typical(results, case, cpu_us)
        };
        let case = format!("N={subscribers}, W={}", window.0);
        let own = cpu(Rival::Forge);
        figures.push(Figure::new(format!("CPU per delivery, {case}"), own, "µs"));
        for (rival, least) in targets(window, subscribers) {
            let name = format!("CPU per delivery against {}, {case}", rival.name());
            let ratio = cpu(rival) / own;
            let (value, unit, scale) = match rival {
                Rival::Raw => (ratio * 100.0, "%", 100.0),
                Rival::Forge | Rival::Nchan | Rival::Naive => (ratio, "×", 1.0),
            };
            figures.push(match least {
                Some(least) => {
                    Figure::with_target(name, value, unit, Target::AtLeast(least * scale))
                }
                None => Figure::new(name, value, unit),
            });
        }
    }
    figures
}

/// How many times less than the other's CPU time ours should be.
fn targets(window: Window, subscribers: usize) -> [(Rival, Option<f64>); 3] {
    let (raw, nchan, naive) = match (window, subscribers) {
        (ONE, 1_000) => (Some(0.90), Some(1.5), Some(1.7)),
        (ONE, 5_000) => (Some(0.85), Some(1.8), Some(1.7)),
        (ONE, _) => (None, None, Some(1.7)),
        (_, 1_000) => (Some(0.95), Some(70.0), Some(15.0)),
        (_, 5_000) => (Some(0.95), Some(110.0), Some(15.0)),
        (_, _) => (None, Some(40.0), Some(15.0)),
    };
    [
        (Rival::Raw, raw),
        (Rival::Nchan, nchan),
        (Rival::Naive, naive),
    ]
}

fn page(results: &Results) -> Page {
    let mut page = Page::default();
    page.text(
        "The server's CPU time divided by deliveries. W is how many messages are in flight: with \
         one, every message is sent to everybody before the next is published, and nothing can be \
         batched; with 256, publishing comes in bursts. *raw limit* only `send()`s bytes that are \
         ready: less is not possible with sockets. tiny-forge writes each message to its journal \
         first, with a full sync; the threads that do are not in these figures but in the table \
         of shares, because no other server here keeps anything.",
    );
    for (window, name, title) in [
        (
            ONE,
            "fanout-one",
            "CPU time of a delivery, one message at a time",
        ),
        (
            BURST,
            "fanout-burst",
            "CPU time of a delivery, in bursts of 256",
        ),
    ] {
        page.plot(name, &bars(results, window, title));
    }
    page.table(&table(results, "CPU, µs", cpu_us));
    page.text("Deliveries a second, with generator and server on a core each:");
    page.table(&table(results, "deliveries/s", |seen| {
        seen.deliveries as f64 / seen.seconds
    }));
    page.text(
        "Where tiny-forge's CPU time goes, in µs a delivery: `fanout` writes to sockets, `tokio` \
         takes what is published, `store` is the journal.",
    );
    page.table(&shares(results));
    page
}

fn bars(results: &Results, window: Window, title: &str) -> Bars {
    let mut bars = Bars::new(title, "µs", Scale::Log);
    bars.series = Rival::ALL.map(Rival::name).to_vec();
    for subscribers in SUBSCRIBERS {
        let values = Rival::ALL.map(|rival| {
            let case = Case {
                window,
                subscribers,
                rival,
            };
            typical(results, case, cpu_us)
        });
        bars.group(format!("{subscribers} subscribers"), values.to_vec());
    }
    bars
}

fn table(results: &Results, what: &str, of: impl Fn(&Seen) -> f64) -> Vec<Vec<String>> {
    let mut head = vec![what.to_owned()];
    head.extend(shapes().map(|(window, count)| format!("N={count} W={}", window.0)));
    let mut rows = vec![head];
    for rival in Rival::ALL {
        let mut cells = vec![rival.name().to_owned()];
        for (window, subscribers) in shapes() {
            let case = Case {
                window,
                subscribers,
                rival,
            };
            cells.push(digits(typical(results, case, &of)));
        }
        rows.push(cells);
    }
    rows
}

/// Of tiny-forge, by threads.
fn shares(results: &Results) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "case",
        "fanout",
        "tokio",
        "store",
        "other",
        "bytes a delivery",
    ])];
    for (window, subscribers) in shapes() {
        let case = Case {
            window,
            subscribers,
            rival: Rival::Forge,
        };
        let part = |counted: &dyn Fn(&str) -> bool| {
            digits(typical(results, case, |seen| seen.cpu_us(counted)))
        };
        let bytes = typical(results, case, |seen| {
            seen.bytes as f64 / seen.deliveries as f64
        });
        let known = [FANOUT, TOKIO, STORE];
        rows.push(vec![
            format!("N={subscribers} W={}", window.0),
            part(&|thread| thread.starts_with(FANOUT)),
            part(&|thread| thread.starts_with(TOKIO)),
            part(&|thread| thread.starts_with(STORE)),
            part(&|thread| !known.iter().any(|name| thread.starts_with(name))),
            digits(bytes),
        ]);
    }
    rows
}
