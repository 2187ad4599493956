//! How fast events become durable: published at a steady rate, acknowledged
//! once they are on disk.

use std::{
    fs::File,
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    Bench, digits,
    disk::{self, Work},
    median, quantile, row,
    sqlite::Journal,
};
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

/// Of an event in the journal, beside its JSON too.
const EVENT_BYTES: usize = 420;

/// Of one run, in µs.
struct Acks {
    p50: f64,
    p99: f64,
    /// Of `fdatasync` alone, and of the same work by the disk alone.
    sync_p50: f64,
    disk_p50: f64,
    disk_p99: f64,
}

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let mut page = Page::default();
    page.text(
        "Batches of events every 500 µs, each acknowledged when it has been committed with a full \
         sync and fanned out. Just before, on the same disk: `fdatasync` after 4 KiB, and *the disk \
         alone*, a loop that writes as many bytes at the same times into a log, syncs it, and has \
         them copied into a second file, as a checkpoint does. Whatever holds up that loop holds \
         up any durable log on this disk.",
    );
    let mut rows = vec![row([
        "events/s",
        "ack p50, µs",
        "ack p99, µs",
        "disk alone p50, µs",
        "disk alone p99, µs",
        "fdatasync p50, µs",
    ])];
    let mut bars = Bars::new("Time until an event is durable", "µs", Scale::Log);
    bars.series = vec!["ack p50", "ack p99", "disk alone p50", "disk alone p99"];
    let mut figures = Vec::new();
    for (rate, most_ms) in RATES.into_iter().zip([3.0, 5.0]) {
        let mut runs = Vec::new();
        for _ in 0..bench.repetitions() {
            let acks = run(bench, rate)?;
            bench.say(&format!(
                "append at {rate}/s: ack p50 {} µs, p99 {} µs; disk alone p50 {} µs, p99 {} µs; fdatasync {} µs",
                digits(acks.p50),
                digits(acks.p99),
                digits(acks.disk_p50),
                digits(acks.disk_p99),
                digits(acks.sync_p50)
            ));
            runs.push(acks);
        }
        let of = |it: fn(&Acks) -> f64| median(runs.iter().map(it).collect());
        let (p50, p99, sync) = (of(|it| it.p50), of(|it| it.p99), of(|it| it.sync_p50));
        let (disk_p50, disk_p99) = (of(|it| it.disk_p50), of(|it| it.disk_p99));
        let name = format!("{} k/s", rate / 1_000);
        let mut cells = row([&name]);
        cells.extend([p50, p99, disk_p50, disk_p99, sync].map(digits));
        rows.push(cells);
        bars.group(&name, vec![p50, p99, disk_p50, disk_p99]);
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
        figures.push(Figure::new(
            format!("durable append at {name}, ack p99 against the disk alone"),
            of(|it| it.p99 / it.disk_p99),
            "×",
        ));
    }
    page.plot("append", &bars);
    page.table(&rows);
    let row_us = row_us(bench)?;
    bench.say(&format!("append: SQLite alone {} µs a row", digits(row_us)));
    page.text(format!(
        "SQLite alone takes {} µs of a core to write such a row, in transactions of 75 without a \
         sync: a loop that does nothing else.",
        digits(row_us)
    ));
    figures.push(Figure::new("a row written by SQLite alone", row_us, "µs"));
    Ok(Chapter {
        title: "Durable append",
        page,
        figures,
    })
}

fn run(bench: &Bench, rate: u32) -> anyhow::Result<Acks> {
    let server = Rival::Forge.start(&bench.args.setup, bench.cores)?;
    let directory = server.directory.path();
    let time = bench.span().measured * 2;
    let sync_p50 = fdatasync_us(directory, Duration::ZERO, 500)?;
    let work = Work {
        bytes: (f64::from(rate) * PAUSE.as_secs_f64()) as usize * EVENT_BYTES,
        every: PAUSE,
        times: (time.as_secs_f64() / PAUSE.as_secs_f64()) as u32,
    };
    let mut alone = disk::measure(directory, bench.cores, work)?;
    alone.sort_unstable();
    let mut publisher = server.publisher()?;
    let mut acks = publish(&mut publisher, rate, time)?;
    acks.sort_unstable();
    Ok(Acks {
        p50: quantile(&acks, 0.5),
        p99: quantile(&acks, 0.99),
        sync_p50,
        disk_p50: quantile(&alone, 0.5),
        disk_p99: quantile(&alone, 0.99),
    })
}

/// Of rows that a server has written.
fn row_us(bench: &Bench) -> anyhow::Result<f64> {
    let server = Rival::Forge.start(&bench.args.setup, bench.cores)?;
    publish(&mut server.publisher()?, RATES[0], bench.span().measured)?;
    let journal = Journal::open(server.directory.path())?;
    let times =
        (0..3).map(|_| Ok(journal.write_again(&bench.args.setup.work)?.as_secs_f64() * 1e6));
    Ok(median(times.collect::<anyhow::Result<_>>()?))
}

/// At fixed times; how long after its time each event was acknowledged, in µs.
/// A server that is slower than that is waited for, which these times show.
fn publish(publisher: &mut Publisher, rate: u32, time: Duration) -> anyhow::Result<Vec<u32>> {
    let size = (f64::from(rate) * PAUSE.as_secs_f64()) as u32;
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
        let may_publish = due < end && publisher.under_way() < BATCHES_MAX;
        if may_publish && now >= due {
            let numbers = published..published + size;
            let batch: Vec<_> = numbers.map(|number| Message::new(number, 0)).collect();
            publisher.publish(&batch, due)?;
            published += size;
            due += PAUSE;
        }
        let until = if may_publish { due } else { now + PAUSE };
        wait(publisher, until.saturating_duration_since(Instant::now()))?;
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

/// For an answer, or until then. Asleep: a generator that spins takes processor
/// time from the disk where the machine is a virtual one.
fn wait(publisher: &Publisher, time: Duration) -> anyhow::Result<()> {
    let time = Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: time.subsec_nanos().into(),
    };
    let mut answer = [PollFd::new(&publisher.stream, PollFlags::IN)];
    match poll(&mut answer, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error).context("cannot wait for answers"),
    }
}

/// Median of writing 4 KiB and having them on disk, with so long a rest after each.
pub(super) fn fdatasync_us(directory: &Path, rest: Duration, count: u32) -> anyhow::Result<f64> {
    let path = directory.join("sync");
    let mut file = File::create(&path).with_context(|| format!("{}", path.display()))?;
    let mut times = Vec::new();
    for _ in 0..count {
        thread::sleep(rest);
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(times))
}
