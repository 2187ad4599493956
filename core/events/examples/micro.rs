//! Small figures that need no client, as the benchmark's report has them.
//!
//! - publish: the publisher's own CPU time to hand an event over, in a batch of
//!   256, with 1,000 subscribers of which 200 never read, when memory is full;
//!   beside it the least that this can cost: the bytes of the frame, copied to
//!   memory that was not touched for as long
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
    Attachment, Fanout, Filter, FilterIndex, FrameParts, Log, Page, Replay, ReplayError, Room,
    SegmentBuilder,
};
use tiny_forge_model::{EventId, EventType, Severity, Timestamp};

type Outcome<T> = Result<T, Box<dyn error::Error>>;

const TARGET_NS: f64 = 100.0;
const FILTERS: usize = 1_000;
const SUBSCRIBERS: usize = 1_000;
const STUCK: usize = 200;
const BATCH: i64 = 256;
const BATCHES: i64 = 400;
/// Once so many events are in memory each new one takes the place of an old one.
const FULL: i64 = 100 * BATCH;
/// Batches that are in memory when it is full.
const PLACES: usize = 64;
/// A burst at a time, as commits come.
const PAUSE: Duration = Duration::from_millis(2);
/// An HTTP chunk with the frame in it, and the names.
const FRAME_BYTES: usize = 370;

fn main() -> Outcome<()> {
    let figures = [
        figure(
            "publish: one event, handed over in a batch",
            publish_ns()?,
            true,
        ),
        figure("publish: its bytes copied, nothing else", copy_ns(), false),
        figure("match: one event among 1,000 filters", match_ns(), true),
    ];
    println!("[{}]", figures.join(", "));
    Ok(())
}

fn figure(name: &str, value: f64, has_target: bool) -> String {
    let (target, ok) = if has_target {
        (
            format!("\"≤ {TARGET_NS}\""),
            (value <= TARGET_NS).to_string(),
        )
    } else {
        ("null".to_owned(), "null".to_owned())
    };
    format!(
        "{{\"name\": \"{name}\", \"value\": {value:.0}, \"target\": {target}, \"unit\": \"ns\", \"ok\": {ok}}}"
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
    let names = Names::many();
    let (mut spent, mut id) = (Duration::ZERO, 0);
    let (mut room, mut gone) = (Room::default(), None);
    for _ in 0..BATCHES {
        let before = ThreadTime::now();
        let mut segment = SegmentBuilder::in_place_of("j1", gone.take(), room);
        for _ in 0..BATCH {
            id += 1;
            segment.push_stored(&names[id as usize % names.len()].parts(id), &json);
        }
        room = segment.room();
        if let Some(segment) = segment.seal() {
            gone = log.append(segment);
        }
        if id > FULL {
            spent += before.elapsed();
        }
        std::thread::sleep(PAUSE);
    }
    drop(stuck);
    fanout.stop();
    reader.join().map_err(|_| "the reader panicked")?;
    Ok(spent.as_nanos() as f64 / (id - FULL) as f64)
}

/// As many bytes, as often, to as many places.
fn copy_ns() -> f64 {
    let frame = vec![b'x'; FRAME_BYTES];
    let mut places = vec![vec![0; FRAME_BYTES * BATCH as usize]; PLACES];
    let mut spent = Duration::ZERO;
    for batch in 0..BATCHES {
        let place = &mut places[batch as usize % PLACES];
        let before = ThreadTime::now();
        for room in place.chunks_exact_mut(FRAME_BYTES) {
            room.copy_from_slice(black_box(&frame));
        }
        spent += before.elapsed();
        std::thread::sleep(PAUSE);
    }
    spent.as_nanos() as f64 / (BATCHES * BATCH) as f64
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
    let names = Names::many();
    let events: Vec<FrameParts> = names.iter().map(|names| names.parts(1)).collect();
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

/// What an event is about.
struct Names {
    project: String,
    instance: String,
}

impl Names {
    /// More than there are filters: so not all of them find one.
    fn many() -> Vec<Self> {
        let names = (0..2 * FILTERS).map(|number| Self {
            project: format!("project-{number}"),
            instance: format!("project-{number}-prod-1-0"),
        });
        names.collect()
    }

    fn parts(&self, id: i64) -> FrameParts<'_> {
        FrameParts {
            id: EventId(id),
            kind: EventType::InstanceStatus,
            severity: Severity::Info,
            time: Timestamp::from_unix_ms(0),
            project: Some(&self.project),
            stage: Some("prod"),
            instance: Some(&self.instance),
            deploy: None,
        }
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
