//! How fast events become durable: published at a steady rate, acknowledged
//! once they are on disk.

use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::{Events, Interest, Poll, Token};

use super::{Bench, digits, median, quantile, row};
use crate::{
    message::Message,
    publisher::Publisher,
    report::{Bars, Chapter, Figure, Page, Scale, Target},
    rivals::Rival,
};

const RATES: [u32; 2] = [50_000, 150_000];
/// Time between two batches.
const PAUSE: Duration = Duration::from_micros(500);
/// With this many batches unanswered the server has fallen behind.
const BATCHES_MAX: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Of one run, in µs.
struct Acks {
    p50: f64,
    p99: f64,
    /// Of `fdatasync` alone.
    sync_p50: f64,
}

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let mut page = Page::default();
    page.text(
        "Batches of events every 500 µs, each acknowledged when it has been committed with a full \
         sync and fanned out. Beside it `fdatasync` after 4 KiB on the same disk, just before.",
    );
    let mut rows = vec![row([
        "events/s",
        "ack p50, µs",
        "ack p99, µs",
        "fdatasync p50, µs",
    ])];
    let mut bars = Bars::new("Time until an event is durable", "µs", Scale::Log);
    bars.series = vec!["ack p50", "ack p99", "fdatasync p50"];
    let mut figures = Vec::new();
    for (rate, most_ms) in RATES.into_iter().zip([3.0, 5.0]) {
        let mut runs = Vec::new();
        for _ in 0..bench.repetitions() {
            let acks = run(bench, rate)?;
            bench.say(&format!(
                "append at {rate}/s: ack p50 {} µs, p99 {} µs, fdatasync {} µs",
                digits(acks.p50),
                digits(acks.p99),
                digits(acks.sync_p50)
            ));
            runs.push(acks);
        }
        let of = |it: fn(&Acks) -> f64| median(runs.iter().map(it).collect());
        let (p50, p99, sync) = (of(|it| it.p50), of(|it| it.p99), of(|it| it.sync_p50));
        let name = format!("{} k/s", rate / 1_000);
        rows.push(row([&name, &digits(p50), &digits(p99), &digits(sync)]));
        bars.group(&name, vec![p50, p99, sync]);
        figures.push(Figure::with_target(
            format!("durable append at {name}, ack p50 against fdatasync"),
            of(|it| it.p50 / it.sync_p50),
            "×",
            Target::AtMost(2.0),
        ));
        figures.push(Figure::with_target(
            format!("durable append at {name}, ack p99"),
            p99 / 1_000.0,
            "ms",
            Target::AtMost(most_ms),
        ));
    }
    page.plot("append", &bars);
    page.table(&rows);
    Ok(Chapter {
        title: "Durable append",
        page,
        figures,
    })
}

fn run(bench: &Bench, rate: u32) -> anyhow::Result<Acks> {
    let server = Rival::Forge.start(&bench.args.setup, bench.cores)?;
    let sync_p50 = fdatasync_us(server.directory.path())?;
    let mut publisher = server.publisher()?;
    let mut acks = publish(&mut publisher, rate, bench.span().measured * 2)?;
    acks.sort_unstable();
    Ok(Acks {
        p50: quantile(&acks, 0.5),
        p99: quantile(&acks, 0.99),
        sync_p50,
    })
}

/// At fixed times; how long after its time each event was acknowledged, in µs.
/// A server that is slower than that is waited for, which these times show.
fn publish(publisher: &mut Publisher, rate: u32, time: Duration) -> anyhow::Result<Vec<u32>> {
    let size = (f64::from(rate) * PAUSE.as_secs_f64()) as u32;
    let mut poll = Poll::new()?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut publisher.stream, Token(0), interest)?;
    let mut events = Events::with_capacity(1);
    let mut acks = Vec::new();
    let mut answered = |count: u32, after: Duration| {
        acks.extend(std::iter::repeat_n(
            after.as_micros() as u32,
            count as usize,
        ));
    };
    let (began, mut published) = (Instant::now(), 0);
    let (mut due, end) = (began, began + time);
    while due < end || !publisher.is_idle() {
        let now = Instant::now();
        if due < end && now >= due && publisher.under_way() < BATCHES_MAX {
            let numbers = published..published + size;
            let batch: Vec<_> = numbers.map(|number| Message::new(number, 0)).collect();
            publisher.publish(&batch, due)?;
            published += size;
            due += PAUSE;
        }
        // Not asleep: batches are due more often than the kernel's clock ticks.
        poll.poll(&mut events, Some(Duration::ZERO))?;
        publisher.receive(&mut answered)?;
        publisher.flush()?;
        if now > end + PATIENCE {
            break;
        }
    }
    if publisher.acknowledged != u64::from(published) {
        bail!(
            "of {published} events {} are acknowledged",
            publisher.acknowledged
        );
    }
    Ok(acks)
}

/// Median of writing 4 KiB and having them on disk.
fn fdatasync_us(directory: &Path) -> anyhow::Result<f64> {
    let path = directory.join("sync");
    let mut file = File::create(&path).with_context(|| format!("{}", path.display()))?;
    let mut times = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(times))
}
