//! From an event that is published to the request of a sink's plugin at its target.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::{Bench, append, digits, median, quantile, row};
use crate::{
    message::Message,
    report::{self, Bars, Chapter, Figure, Page, Scale},
    rivals::Running,
    target::Target,
};

/// Time between two events.
const PAUSE: Duration = Duration::from_millis(10);
/// Until connections are open and code is warm.
const WARM_UP: u32 = 50;
/// To know what one takes.
const SYNCS: u32 = 200;

/// Of one run, in ms.
struct Latency {
    p50: f64,
    p99: f64,
    sync_p50: f64,
}

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let mut runs = Vec::new();
    for _ in 0..bench.repetitions() {
        let latency = run(bench)?;
        bench.say(&format!(
            "wire: p50 {} ms, p99 {} ms; fdatasync {} ms",
            digits(latency.p50),
            digits(latency.p99),
            digits(latency.sync_p50)
        ));
        runs.push(latency);
    }
    let of = |it: fn(&Latency) -> f64| median(runs.iter().map(it).collect());
    let (p50, p99, sync) = (of(|it| it.p50), of(|it| it.p99), of(|it| it.sync_p50));
    let mut page = Page::default();
    page.text(
        "An event every 10 ms for the plugin `webhook`, whose target is this program: from when the \
         event was due until its request has come. In between it is stored with a full sync, read \
         by the pipeline, and sent by the plugin, while the delivery is stored. Beside it `fdatasync` after 4 KiB on the same disk and core, as seldom: a virtual processor \
         that has been idle has to be woken when the disk is done, so that it takes longer than in a \
         loop.",
    );
    let mut bars = Bars::new("Published to on the wire", "ms", Scale::Linear);
    bars.series = vec!["p50", "p99"];
    bars.group("webhook", vec![p50, p99]);
    page.plot("wire", &bars);
    page.table(&[
        row(["ms", "p50", "p99", "fdatasync p50"]),
        row(["webhook", &digits(p50), &digits(p99), &digits(sync)]),
    ]);
    Ok(Chapter {
        title: "Published to on the wire",
        page,
        figures: vec![
            Figure::with_target(
                "published to a sink's request on the wire, p50",
                p50,
                "ms",
                report::Target::AtMost(1.0),
            ),
            Figure::with_target(
                "published to a sink's request on the wire, p99",
                p99,
                "ms",
                report::Target::AtMost(5.0),
            ),
            Figure::new("the same, p50, without the sync", p50 - sync, "ms"),
        ],
    })
}

fn run(bench: &Bench) -> anyhow::Result<Latency> {
    let count: u32 = if bench.args.quick { 200 } else { 1_000 };
    let target = Target::start()?;
    let toml = format!(
        r#"
        [plugin.hook]
        file = "builtin:webhook"
        config.url = "http://{0}/hook"
        config.sign_with = []
        grants.http = ["http://{0}"]
        grants.networks = ["127.0.0.0/8"]

        [pipeline.all]
        when.type = ["system"]
        sinks = ["hook"]
        "#,
        target.address
    );
    let server = Running::with_plugins(&bench.args.setup, &toml, bench.cores)?;
    let directory = server.directory.path();
    let on_its_core = || append::fdatasync_us(directory, PAUSE, SYNCS);
    let sync_p50 = bench.cores.on_the_servers(on_its_core)?? / 1_000.0;
    let mut publisher = server.publisher()?;
    let mut took = Vec::new();
    let began = Instant::now();
    for number in 0..WARM_UP + count {
        let due = began + PAUSE * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        publisher.publish(&[Message::new(number, 0)], due)?;
        let (message, came) = target.next()?;
        let found = message.number;
        ensure!(
            found == number,
            "event {number} was to come, and this came: {found}"
        );
        publisher.receive(|_, _| {})?;
        if number >= WARM_UP {
            let micros = came.saturating_duration_since(due).as_micros();
            took.push(u32::try_from(micros).unwrap_or(u32::MAX));
        }
    }
    took.sort_unstable();
    Ok(Latency {
        p50: quantile(&took, 0.5) / 1_000.0,
        p99: quantile(&took, 0.99) / 1_000.0,
        sync_p50,
    })
}
