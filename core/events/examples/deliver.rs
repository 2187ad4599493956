//! Delivers EVENTS events, one after the other, to SUBSCRIBERS sockets that a
//! child process reads: something whose instructions can be counted.
//!
//!     deliver SUBSCRIBERS EVENTS

use std::{
    env, error,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use tiny_forge_events::{
    Attachment, Fanout, Filter, Log, Page, Replay, ReplayError, SegmentBuilder,
};
use tiny_forge_model::{Actor, EventId, NewEvent, Payload, Severity, Subject, SystemPayload};

type Outcome = Result<(), Box<dyn error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [subscribers, events] => deliver(subscribers.parse()?, events.parse()?),
        [read, address, subscribers] if read == "read" => read_all(address, subscribers.parse()?),
        _ => Err("usage: deliver SUBSCRIBERS EVENTS".into()),
    }
}

fn deliver(subscribers: usize, events: i64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let log = Log::new();
    log.start("j1", EventId(0));
    let replay: Arc<dyn Replay> = Arc::new(NoPast);
    let fanout = Fanout::start(&log, &replay, runtime.handle())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut reader = Command::new(env::current_exe()?)
        .args(["read", &listener.local_addr()?.to_string()])
        .arg(subscribers.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    for _ in 0..subscribers {
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
    let mut seen = BufReader::new(reader.stdout.take().ok_or("no pipe")?).lines();
    seen.next().ok_or("the reader has ended")??;
    for id in 1..=events {
        let mut segment = SegmentBuilder::new("j1");
        segment.push_new("n1", EventId(id), event())?;
        log.append(segment.seal().ok_or("one event")?);
        seen.next().ok_or("the reader has ended")??;
    }
    fanout.stop();
    reader.wait()?;
    Ok(())
}

/// About 300 bytes, as most events are.
fn event() -> NewEvent {
    let payload = SystemPayload {
        what: "note".into(),
        message: "x".repeat(90),
    };
    let subject = Subject::other("test");
    NewEvent::new(
        subject,
        Severity::Info,
        Actor::system("test"),
        Payload::System(payload),
    )
}

/// Says a line whenever every socket has got the next frame.
fn read_all(address: &str, subscribers: usize) -> Outcome {
    let sockets = (0..subscribers).map(|_| TcpStream::connect(address));
    let mut sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    let mut buffer = vec![0; 64 << 10];
    let mut out = std::io::stdout();
    loop {
        for socket in &mut sockets {
            let mut tail = [0; 2];
            // A frame and its chunk end alike.
            while tail != *b"\n\r" {
                let read = socket.read(&mut buffer)?;
                if read == 0 {
                    return Ok(());
                }
                tail.copy_from_slice(&buffer[read.saturating_sub(3)..read.saturating_sub(1)]);
            }
        }
        out.write_all(b"all\n")?;
    }
}

/// Nobody here falls out of memory.
struct NoPast;

impl Replay for NoPast {
    fn page(
        &self,
        _: Filter,
        _: EventId,
        _: EventId,
    ) -> BoxFuture<'static, Result<Page, ReplayError>> {
        Box::pin(async { Err(ReplayError("there is no past".into())) })
    }
}
