//! From an event that is published to the request of a sink's plugin at its target.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::{Bench, append, digits, median, quantile, row};
use crate::{
    message::{Message, Scanner},
    report::{Bars, Chapter, Figure, Page, Scale, Target},
    rivals::Running,
};

/// Time between two events.
const PAUSE: Duration = Duration::from_millis(10);
/// Until connections are open and code is warm.
const WARM_UP: u32 = 50;
const PATIENCE: Duration = Duration::from_secs(30);

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
         by the pipeline, stored as a delivery with another full sync, and sent by the plugin. \
         Beside it `fdatasync` after 4 KiB on the same disk.",
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
                Target::AtMost(1.0),
            ),
            Figure::with_target(
                "published to a sink's request on the wire, p99",
                p99,
                "ms",
                Target::AtMost(5.0),
            ),
        ],
    })
}

fn run(bench: &Bench) -> anyhow::Result<Latency> {
    let count: u32 = if bench.args.quick { 200 } else { 1_000 };
    let target = TcpListener::bind("127.0.0.1:0")?;
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
        target.local_addr()?
    );
    let (sender, requests) = mpsc::channel();
    // Ends with this program: it waits for connections that do not come any more.
    thread::spawn(move || serve(&target, &sender));
    let server = Running::with_plugins(&bench.args.setup, &toml, bench.cores)?;
    let sync_p50 = append::fdatasync_us(server.directory.path())? / 1_000.0;
    let mut publisher = server.publisher()?;
    let mut took = Vec::new();
    let began = Instant::now();
    for number in 0..WARM_UP + count {
        let due = began + PAUSE * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        publisher.publish(&[Message::new(number, 0)], due)?;
        let came = came(&requests, number)?;
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

/// When the request with this message came: the next one.
fn came(requests: &Receiver<(u32, Instant)>, number: u32) -> anyhow::Result<Instant> {
    let request = requests.recv_timeout(PATIENCE);
    let (found, at) = request.with_context(|| format!("event {number} is not sent"))?;
    if found != number {
        bail!("event {number} was to come, and this came: {found}");
    }
    Ok(at)
}

/// A target that takes everything. What the server says of itself has no mark.
fn serve(target: &TcpListener, requests: &Sender<(u32, Instant)>) {
    for stream in target.incoming().flatten() {
        let requests = requests.clone();
        // A connection ends when the server does.
        thread::spawn(move || answer(stream, &requests));
    }
}

fn answer(mut stream: TcpStream, requests: &Sender<(u32, Instant)>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let (mut scanner, mut bytes) = (Scanner::default(), Vec::new());
    let mut buffer = [0; 64 << 10];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let mut closed = false;
        scanner.scan(&buffer[..read], |message| {
            closed |= requests.send((message.number, now)).is_err();
        });
        if closed {
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..read]);
        while let Some(length) = crate::http::request_length(&bytes) {
            bytes.drain(..length);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        }
    }
}
