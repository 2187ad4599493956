//! How many events a pipeline with a filter decides: CPU time of each, by thread.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::{Bench, digits, median, row};
use crate::{
    http::Connection,
    message::Message,
    process::CpuByName,
    report::{Bars, Chapter, Figure, Page, Scale, Target},
    rivals::Running,
};

/// Every event passes the first two rules; the third drops it. So nothing comes to
/// the sink, without which there is no pipeline.
const PLUGINS_TOML: &str = r#"
[plugin.hook]
file = "builtin:webhook"
config.url = "http://127.0.0.1:9/"
config.sign_with = []
grants.http = ["http://127.0.0.1:9"]
grants.networks = ["127.0.0.0/8"]

[plugin.rules]
file = "builtin:rules"
config.rules = [
    { keep_if = 'severity >= "error"' },
    { keep_if = 'project.startsWith("payment-") && payload.status == "failed"' },
    { drop_if = 'payload.what == "bench"', reason = "noise" },
]

[pipeline.all]
when.type = ["system"]
steps = ["rules"]
sinks = ["hook"]
"#;

const BATCH: u32 = 64;
/// Batches that are published and not acknowledged.
const UNDER_WAY: usize = 8;
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// How the names of tiny-forge's threads begin.
const PLUGINS: &str = "plugin";
const STORE: &str = "store";

/// CPU time of an event, in µs.
struct Cost {
    plugins: f64,
    store: f64,
    rest: f64,
    /// From the first that was published to the last that was decided.
    events_per_second: f64,
}

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let mut costs = Vec::new();
    for _ in 0..bench.repetitions() {
        let cost = run(bench)?;
        bench.say(&format!(
            "rules: {} µs an event in the pipeline, {} µs in the journal, {} µs elsewhere; {} events/s with all of it",
            digits(cost.plugins),
            digits(cost.store),
            digits(cost.rest),
            digits(cost.events_per_second)
        ));
        costs.push(cost);
    }
    let of = |it: fn(&Cost) -> f64| median(costs.iter().map(it).collect());
    let (plugins, store, rest) = (of(|it| it.plugins), of(|it| it.store), of(|it| it.rest));
    let figures = vec![
        Figure::with_target(
            "events through a filter of rules, of one core",
            1e6 / plugins,
            "events/s",
            Target::AtLeast(100_000.0),
        ),
        Figure::new(
            "the same, CPU time of the pipeline's threads",
            plugins,
            "µs",
        ),
        Figure::new("the same, CPU time of the journal's threads", store, "µs"),
        Figure::new(
            "the same, published, decided and stored on one core",
            of(|it| it.events_per_second),
            "events/s",
        ),
    ];
    Ok(Chapter {
        title: "Events through a filter",
        page: page(plugins, store, rest),
        figures,
    })
}

fn run(bench: &Bench) -> anyhow::Result<Cost> {
    let server = Running::with_plugins(&bench.args.setup, PLUGINS_TOML, bench.cores)?;
    let count: u32 = if bench.args.quick { 32_000 } else { 128_000 };
    // Until code and caches are warm.
    let mut decided = 0;
    publish(&server, 6_400)?;
    wait(&server, &mut decided, 6_400)?;
    let before = server.process.cpu()?;
    let began = Instant::now();
    publish(&server, count)?;
    wait(&server, &mut decided, 6_400 + u64::from(count))?;
    let took = began.elapsed();
    let cpu = server.process.cpu()?.since(&before);
    let us = |is: fn(&str) -> bool| of_threads(&cpu, is) as f64 / 1_000.0 / f64::from(count);
    Ok(Cost {
        plugins: us(|name| name.starts_with(PLUGINS)),
        store: us(|name| name.starts_with(STORE)),
        rest: us(|name| !name.starts_with(PLUGINS) && !name.starts_with(STORE)),
        events_per_second: f64::from(count) / took.as_secs_f64(),
    })
}

fn of_threads(cpu: &CpuByName, is: fn(&str) -> bool) -> u64 {
    let threads = cpu.iter().filter(|(name, _)| is(name));
    threads.map(|(_, busy)| busy).sum()
}

fn publish(server: &Running, count: u32) -> anyhow::Result<()> {
    let mut publisher = server.publisher()?;
    let (began, mut published) = (Instant::now(), 0);
    while published < count || !publisher.is_idle() {
        if published < count && publisher.under_way() < UNDER_WAY {
            let numbers = published..published + BATCH;
            let batch: Vec<_> = numbers.map(|number| Message::new(number, 0)).collect();
            publisher.publish(&batch, Instant::now())?;
            published += BATCH;
        } else {
            thread::sleep(Duration::from_micros(200));
        }
        publisher.flush()?;
        publisher.receive(|_, _| {})?;
        if began.elapsed() > PATIENCE {
            bail!(
                "{} of {count} events are acknowledged",
                publisher.acknowledged
            );
        }
    }
    Ok(())
}

/// Until the pipeline has dropped so many in all.
fn wait(server: &Running, dropped: &mut u64, least: u64) -> anyhow::Result<()> {
    let (began, mut api) = (Instant::now(), Connection::open(server.http)?);
    while *dropped < least {
        if began.elapsed() > PATIENCE {
            bail!("the pipeline has decided about {dropped} of {least} events");
        }
        thread::sleep(POLL);
        let answer: serde_json::Value = serde_json::from_slice(&api.get("/api/pipelines")?.body)?;
        let count = answer["items"][0]["dropped"].as_u64();
        *dropped = count.context("how many a pipeline has dropped")?;
    }
    Ok(())
}

fn page(plugins: f64, store: f64, rest: f64) -> Page {
    let mut page = Page::default();
    page.text(
        "Events of one pipeline with the plugin `rules`: three expressions, the last of which drops \
         the event. CPU time of an event: `pipeline` reads it from memory, calls the guest with all \
         limits on, and notes what became of it; `journal` stores the event, and with it that it was \
         dropped, why, and how each step decided; the rest takes in what is published.",
    );
    let mut bars = Bars::new("CPU time of an event", "µs", Scale::Linear);
    bars.series = vec!["pipeline", "journal", "rest"];
    bars.group("rules", vec![plugins, store, rest]);
    page.plot("rules", &bars);
    page.table(&[
        row(["µs", "pipeline", "journal", "rest"]),
        row(["an event", &digits(plugins), &digits(store), &digits(rest)]),
    ]);
    page
}
