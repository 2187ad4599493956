//! Small figures that need no client, as the benchmark's report has them.
//!
//! - publish: the publisher's own CPU time to hand an event over, in a batch of
//!   256, with 1,000 subscribers of which 200 never read
//! - match: to find which of 1,000 different filters an event passes

use std::{
    error,
    hint::black_box,
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use cpu_time::ThreadTime;
use futures_util::future::BoxFuture;
use tiny_forge_events::{
    Attachment, Fanout, Filter, FilterIndex, FrameParts, Log, Page, Replay, ReplayError,
    SegmentBuilder,
};
use tiny_forge_model::{EventId, EventType, Severity, Timestamp};

type Outcome<T> = Result<T, Box<dyn error::Error>>;

const TARGET_NS: f64 = 100.0;
const FILTERS: usize = 1_000;
const SUBSCRIBERS: usize = 1_000;
const STUCK: usize = 200;
const BATCH: i64 = 256;
const BATCHES: i64 = 200;

fn main() -> Outcome<()> {
    let figures = [
        figure("publish: one event, handed over in a batch", publish_ns()?),
        figure("match: one event among 1,000 filters", match_ns()),
    ];
    println!("[{}]", figures.join(", "));
    Ok(())
}

fn figure(name: &str, value: f64) -> String {
    let ok = value <= TARGET_NS;
    format!(
        "{{\"name\": \"{name}\", \"value\": {value:.0}, \"target\": \"≤ {TARGET_NS}\", \"unit\": \"ns\", \"ok\": {ok}}}"
    )
}

fn publish_ns() -> Outcome<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let log = Log::new();
    log.start("j1", EventId(0));
    let replay: Arc<dyn Replay> = Arc::new(NoPast);
    let fanout = Fanout::start(&log, &replay, runtime.handle())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut clients = Vec::new();
    for _ in 0..SUBSCRIBERS {
        clients.push(TcpStream::connect(listener.local_addr()?)?);
        let (socket, _) = listener.accept()?;
        socket.set_nonblocking(true)?;
        fanout.seat().attach(Attachment {
            socket,
            filter: Filter::default(),
            after: EventId(0),
            opening: ":\n\n".into(),
            guard: Box::new(()),
        });
    }
    let stuck = clients.split_off(SUBSCRIBERS - STUCK);
    let reader = std::thread::spawn(move || read_all(clients));
    let json = format!("{{\"payload\":\"{}\"}}", "x".repeat(280));
    let mut spent = Duration::ZERO;
    let mut id = 0;
    for _ in 0..BATCHES {
        let batch: Vec<FrameParts> = (id + 1..=id + BATCH)
            .map(|id| parts(id as usize, id))
            .collect();
        id += BATCH;
        let before = ThreadTime::now();
        let mut segment = SegmentBuilder::new("j1");
        for parts in batch {
            segment.push_stored(parts, &json);
        }
        if let Some(segment) = segment.seal() {
            log.append(segment);
        }
        spent += before.elapsed();
        // A burst at a time, as commits come.
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(stuck);
    fanout.stop();
    reader.join().map_err(|_| "the reader panicked")?;
    Ok(spent.as_nanos() as f64 / id as f64)
}

fn read_all(mut clients: Vec<TcpStream>) {
    use std::io::Read;
    let mut buffer = vec![0; 256 << 10];
    while !clients.is_empty() {
        clients.retain_mut(|client| client.read(&mut buffer).is_ok_and(|read| read > 0));
    }
}

fn match_ns() -> f64 {
    let mut index = FilterIndex::default();
    for number in 0..FILTERS {
        index.intern(&filter(number));
    }
    let events: Vec<FrameParts> = (0..4_096).map(|number| parts(number, 1)).collect();
    let mut found = 0;
    let started = Instant::now();
    let rounds = 100;
    for _ in 0..rounds {
        for event in &events {
            index.matching(black_box(event), |_| found += 1);
        }
    }
    black_box(found);
    started.elapsed().as_nanos() as f64 / (rounds * events.len()) as f64
}

/// As pages have them: by project, by instance, by project and type.
fn filter(number: usize) -> Filter {
    let mut filter = Filter::default();
    match number % 3 {
        0 => filter.projects = vec![format!("project-{number}")],
        1 => filter.instances = vec![format!("project-{number}-prod-1-0")],
        _ => {
            filter.projects = vec![format!("project-{number}")];
            filter.types = vec![EventType::DeployStatus];
        }
    }
    filter
}

fn parts(number: usize, id: i64) -> FrameParts {
    FrameParts {
        id: EventId(id),
        kind: EventType::InstanceStatus,
        severity: Severity::Info,
        time: Timestamp::from_unix_ms(0),
        project: Some(format!("project-{}", number % 2_000)),
        stage: Some("prod".into()),
        instance: Some(format!("project-{}-prod-1-0", number % 2_000)),
        deploy: None,
    }
}

/// Nobody here is waited for.
struct NoPast;

impl Replay for NoPast {
    fn page(
        &self,
        _: Filter,
        _: EventId,
        _: EventId,
    ) -> BoxFuture<'static, Result<Page, ReplayError>> {
        Box::pin(std::future::pending())
    }
}
