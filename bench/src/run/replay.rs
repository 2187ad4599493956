//! The past, over HTTP: all of a large journal, and the newest 500 events.

use std::{
    io::Read,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::{Events, Interest, Poll, Token};

use super::{Bench, digits, median, ready, row, sqlite::Journal};
use crate::{
    http::{self, Connection},
    message::{Message, Scanner},
    publisher::Publisher,
    report::{Bars, Chapter, Figure, Page, Scale, Target},
    rivals::{Rival, Running},
};

const NEWEST: u32 = 500;
const BATCH: u32 = 1_000;
/// Batches on their way while the journal is filled.
const BATCHES_MAX: usize = 8;

pub fn measure(bench: &Bench) -> anyhow::Result<Chapter> {
    let count = if bench.args.quick { 200_000 } else { 1_000_000 };
    let server = Rival::Forge.start(&bench.args.setup, bench.cores)?;
    bench.say(&format!("replay: writing {count} events"));
    fill(&mut server.publisher()?, count)?;
    let mut speeds = Vec::new();
    for _ in 0..bench.repetitions().max(3) {
        let seconds = replay(server.http, "/api/events?after=0", count)?;
        speeds.push(f64::from(count) / seconds);
    }
    let speed = median(speeds);
    let (stream_us, page_us) = (newest_of_stream(&server)?, newest_page(&server)?);
    let ready_us = newest_us(ready::serve(bench.cores, NEWEST)?, "/")?;
    let journal = Journal::open(server.directory.path())?;
    let alone = |rows: u32, times: usize| -> anyhow::Result<f64> {
        let times = (0..times).map(|_| Ok(journal.read_newest(rows)?.as_secs_f64()));
        Ok(median(times.collect::<anyhow::Result<_>>()?))
    };
    let alone_speed = f64::from(count) / alone(count, 3)?;
    let alone_us = alone(NEWEST, 200)? * 1e6;
    bench.say(&format!(
        "replay: {} events/s, SQLite alone {}; last {NEWEST} in {} µs, as a page in {} µs, bytes that are ready {} µs, SQLite alone {} µs",
        digits(speed),
        digits(alone_speed),
        digits(stream_us),
        digits(page_us),
        digits(ready_us),
        digits(alone_us)
    ));
    let mut page = Page::default();
    page.text(format!(
        "One client reads a journal of {count} events from its beginning over SSE, then asks for \
         the newest {NEWEST}: as a stream that goes on from there, as a client does that comes \
         back, and as a page of JSON. Times are from the request to the last event. *SQLite alone* is \
         a loop in the generator that reads the same rows of the same file and copies them, without a \
         request, a filter or a socket: whoever keeps events in rows of SQLite is not quicker. *Ready \
         bytes* is a thread on the server's core that answers any request with as much as the stream \
         has, which it had before: of a request, two wake-ups and the socket alone."
    ));
    let mut bars = Bars::new(format!("The newest {NEWEST} events"), "µs", Scale::Linear);
    bars.series = vec!["median"];
    bars.group("stream", vec![stream_us]);
    bars.group("page of JSON", vec![page_us]);
    bars.group("SQLite alone", vec![alone_us]);
    bars.group("ready bytes", vec![ready_us]);
    page.plot("newest", &bars);
    page.table(&[
        row(["", "value"]),
        row(["events/s over SSE", &digits(speed)]),
        row(["rows/s, SQLite alone", &digits(alone_speed)]),
        row(["newest 500, stream, µs", &digits(stream_us)]),
        row(["newest 500, page, µs", &digits(page_us)]),
        row(["newest 500, SQLite alone, µs", &digits(alone_us)]),
        row(["newest 500, ready bytes, µs", &digits(ready_us)]),
    ]);
    let figures = vec![
        Figure::with_target("replay over SSE", speed, "events/s", Target::AtLeast(4e6)),
        Figure::new("replay against SQLite alone", speed / alone_speed, "×"),
        Figure::with_target(
            "last 500 events, stream",
            stream_us,
            "µs",
            Target::AtMost(150.0),
        ),
        Figure::new(
            "last 500 events, stream, above ready bytes",
            stream_us - ready_us,
            "µs",
        ),
        Figure::new("last 500 events, page of JSON", page_us, "µs"),
    ];
    Ok(Chapter {
        title: "Replay",
        page,
        figures,
    })
}

fn fill(publisher: &mut Publisher, count: u32) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut publisher.stream, Token(0), interest)?;
    let mut events = Events::with_capacity(1);
    let mut published = 0;
    while published < count || !publisher.is_idle() {
        if published < count && publisher.under_way() < BATCHES_MAX {
            let numbers = published..published + BATCH;
            let batch: Vec<_> = numbers.map(|number| Message::new(number, 0)).collect();
            publisher.publish(&batch, Instant::now())?;
            published += BATCH;
            continue;
        }
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        publisher.receive(|_, _| {})?;
        publisher.flush()?;
    }
    Ok(())
}

/// Seconds until `count` messages have come, each once and in order.
fn replay(address: SocketAddr, path: &str, count: u32) -> anyhow::Result<f64> {
    let mut connection = Connection::open(address)?.into_stream();
    let request = http::get(path, "accept: text/event-stream\r\n");
    let began = Instant::now();
    std::io::Write::write_all(&mut connection, request.as_bytes())?;
    let (mut scanner, mut buffer) = (Scanner::default(), vec![0; 1 << 20]);
    let (mut come, mut next) = (0, None);
    let mut is_in_order = true;
    while come < count {
        let read = connection.read(&mut buffer).context("the replay stalls")?;
        if read == 0 {
            bail!("the stream ended after {come} of {count} events");
        }
        scanner.scan(&buffer[..read], |marked| {
            is_in_order &= next.is_none_or(|next| marked.number == next);
            next = Some(marked.number + 1);
            come += 1;
        });
    }
    if !is_in_order || come != count {
        bail!("{come} of {count} events came, or not in order");
    }
    Ok(began.elapsed().as_secs_f64())
}

/// In µs.
fn newest_of_stream(server: &Running) -> anyhow::Result<f64> {
    let newest = head(server)?;
    let path = format!("/api/events?after={}", newest - i64::from(NEWEST));
    newest_us(server.http, &path)
}

/// In µs.
fn newest_us(address: SocketAddr, path: &str) -> anyhow::Result<f64> {
    let times = (0..200).map(|_| replay(address, path, NEWEST));
    let times: Vec<_> = times.collect::<Result<_, _>>()?;
    Ok(median(times) * 1e6)
}

/// In µs.
fn newest_page(server: &Running) -> anyhow::Result<f64> {
    let path = format!("/api/events?order=desc&limit={NEWEST}");
    let request = http::get(&path, "accept: application/json\r\n");
    let mut connection = Connection::open(server.http)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        let answer = connection.ask(&request)?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
        if answer.status != 200 {
            bail!("a page of events is answered with {}", answer.status);
        }
    }
    Ok(median(times))
}

/// Id of the newest event.
fn head(server: &Running) -> anyhow::Result<i64> {
    let answer = Connection::open(server.http)?.get("/api/status")?;
    let status: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let head = status["journal"]["head"].as_i64();
    head.with_context(|| format!("no head in /api/status: {status}"))
}
