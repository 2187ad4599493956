//! Threads and sockets without a server. A tick takes an hour here: a thread that is not
//! woken sleeps until the test has lost its patience.

use std::{
    io::{ErrorKind, Read},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use tiny_forge_model::{
    Actor, EventType, NewEvent, Payload, ProjectName, Severity, Subject, SystemPayload,
};

use super::*;
use crate::SegmentBuilder;

const PATIENCE: Duration = Duration::from_secs(20);

/// A log, threads, and the port that readers come to.
struct Hall {
    log: Arc<Log>,
    fanout: Fanout,
    runtime: runtime::Runtime,
    listener: TcpListener,
}

/// The other end of a subscriber's socket.
struct Reader {
    socket: TcpStream,
    text: String,
}

impl Hall {
    fn new(shards: usize) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let log = Log::new();
        log.start("j1", EventId(0));
        let replay: Arc<dyn Replay> = Arc::new(NoPast);
        let fanout = Fanout::with_shards(shards, &log, &replay, runtime.handle());
        Self {
            log,
            fanout: fanout.expect("threads"),
            runtime,
            listener: TcpListener::bind("127.0.0.1:0").expect("a port"),
        }
    }

    /// A reader of what comes from now on.
    fn attach(&self, filter: Filter, opening: &str) -> (Seat, Reader) {
        let address = self.listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).expect("connected");
        client.set_read_timeout(Some(PATIENCE)).expect("set");
        let (socket, _) = self.listener.accept().expect("accepted");
        socket.set_nonblocking(true).expect("set");
        let seat = self.fanout.seat();
        seat.attach(Attachment {
            socket,
            filter,
            after: self.log.head_id(),
            opening: opening.to_owned(),
            guard: Box::new(()),
        });
        let reader = Reader {
            socket: client,
            text: String::new(),
        };
        (seat, reader)
    }

    /// As one commit.
    fn publish(&self, events: impl IntoIterator<Item = NewEvent>) -> EventId {
        let mut segment = SegmentBuilder::new("j1");
        let mut id = self.log.head_id();
        for event in events {
            id.0 += 1;
            segment.push_new("n1", id, event).expect("small");
        }
        self.log.append(segment.seal().expect("events"));
        id
    }

    fn progress(&self, seat: &Seat) -> Option<Progress> {
        let seats = [seat.clone()];
        self.progress_of(&seats).pop().flatten()
    }

    fn progress_of(&self, seats: &[Seat]) -> Vec<Option<Progress>> {
        let asked = self.fanout.progress(seats);
        let answer = async { tokio::time::timeout(PATIENCE, asked).await };
        let answer = self.runtime.block_on(answer);
        answer.expect("an answer in time")
    }
}

impl Reader {
    fn until(&mut self, last: &str) {
        let mut buffer = vec![0; 64 << 10];
        while !self.text.contains(last) {
            let read = self.socket.read(&mut buffer);
            let read = read.unwrap_or_else(|error| panic!("{last:?}: {error}"));
            assert_ne!(read, 0, "the stream goes on");
            self.text
                .push_str(std::str::from_utf8(&buffer[..read]).expect("ASCII"));
        }
    }

    /// The same without sleeping: it is seen while the thread that sent it still is awake.
    fn spin_until(&mut self, last: &str) {
        self.socket.set_nonblocking(true).expect("set");
        let (since, mut buffer) = (Instant::now(), [0; 4096]);
        while !self.text.contains(last) {
            match self.socket.read(&mut buffer) {
                Ok(read) => self.text += std::str::from_utf8(&buffer[..read]).expect("ASCII"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            assert!(since.elapsed() < PATIENCE, "{last:?} does not come");
        }
        self.text.clear();
    }

    fn until_event(&mut self, id: EventId) {
        self.until(&format!("id: j1-{id}\n"));
    }

    fn ids(&self) -> Vec<i64> {
        let ids = self.text.lines();
        let ids = ids.filter_map(|line| line.strip_prefix("id: j1-"));
        ids.map(|id| id.parse().expect("a number")).collect()
    }
}

fn event(subject: Subject) -> NewEvent {
    let payload = Payload::System(SystemPayload {
        what: "note".into(),
        message: "x".repeat(90),
    });
    NewEvent::new(subject, Severity::Info, Actor::system("test"), payload)
}

fn note() -> NewEvent {
    event(Subject::other("test"))
}

/// Nobody here falls out of memory.
/// Whoever asks for it is cut off.
pub(super) struct NoPast;

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

#[test]
fn a_thread_whose_readers_all_left_with_something_to_come_wakes_for_the_next_one() {
    const ROUNDS: usize = 3_000;
    let hall = Hall::new(1);
    // More than a socket takes, for every other round.
    let much = format!(":{}\n\n", "x".repeat(1_000_000));
    for round in 0..ROUNDS {
        let opening = if round % 2 == 0 { &much } else { ":\n\n" };
        let leaving = [(); 2].map(|()| hall.attach(Filter::default(), opening));
        if round % 3 > 0 {
            hall.publish([note()]);
        }
        if round % 3 > 1 {
            let mut byte = [0];
            for (_, reader) in &leaving {
                let mut socket = &reader.socket;
                socket
                    .read_exact(&mut byte)
                    .expect("it is being written to");
            }
        }
        drop(leaving);
        if round % 5 == 0 {
            hall.publish([note()]);
        }
        let (_, mut comes) = hall.attach(Filter::default(), ":\n\n");
        let id = hall.publish([note()]);
        comes.until_event(id);
        assert_eq!(comes.ids(), [id.0], "round {round}");
    }
    hall.fanout.stop();
}

#[test]
fn a_thread_that_is_going_to_sleep_sees_what_comes_in_that_moment() {
    const ROUNDS: usize = 20_000;
    let hall = Hall::new(1);
    let (seat, mut reader) = hall.attach(Filter::default(), ":\n\n");
    for round in 0..ROUNDS {
        let id = hall.publish([note()]);
        reader.spin_until(&format!("id: j1-{id}\n"));
        // Now it has nothing left to do. At another point of its way each time:
        for _ in 0..round % 64 {
            std::hint::spin_loop();
        }
        if round % 2 == 0 {
            assert_eq!(hall.progress(&seat).map(|it| it.after), Some(id));
        }
    }
    hall.fanout.stop();
}

#[test]
fn several_threads_each_send_every_event_once() {
    let hall = Hall::new(3);
    let mut readers = [(); 30].map(|()| hall.attach(Filter::default(), ":\n\n").1);
    for commit in 0..50 {
        hall.publish((0..commit % 7 + 1).map(|_| note()));
    }
    let last = hall.log.head_id();
    for reader in &mut readers {
        reader.until_event(last);
        assert_eq!(reader.ids(), (1..=last.0).collect::<Vec<_>>());
    }
    hall.fanout.stop();
}

#[test]
fn what_is_asked_of_one_of_several_threads_reaches_whom_it_is_about() {
    let hall = Hall::new(3);
    let nothing = || Filter {
        types: vec![EventType::Audit],
        ..Filter::default()
    };
    let mut readers: Vec<_> = (0..30).map(|_| hall.attach(nothing(), ":\n\n")).collect();
    let filter = |number: usize| Filter {
        projects: vec![format!("p{number}")],
        ..Filter::default()
    };
    for (number, (seat, _)) in readers.iter().enumerate() {
        let since = hall.runtime.block_on(seat.change(filter(number)));
        assert_eq!(since, Ok(EventId(0)));
    }
    let projects = (0..30).map(|number| format!("p{number}").parse::<ProjectName>());
    hall.publish(projects.map(|name| event(Subject::project(&name.expect("a name")))));
    for (number, (_, reader)) in readers.iter_mut().enumerate() {
        reader.until(&format!("\"subject\":\"p{number}\""));
        assert_eq!(reader.ids(), [number as i64 + 1]);
    }
    // In whatever order they are asked for.
    readers.rotate_left(11);
    let seats: Vec<Seat> = readers.iter().map(|(seat, _)| seat.clone()).collect();
    for (place, progress) in hall.progress_of(&seats).into_iter().enumerate() {
        let progress = progress.expect("it is there");
        assert_eq!(progress.filter, filter((place + 11) % 30));
        assert_eq!(progress.sent_bytes, readers[place].1.text.len() as u64);
    }
    let (gone, reader) = readers.swap_remove(7);
    drop(reader);
    let since = Instant::now();
    while hall.progress(&gone).is_some() {
        assert!(since.elapsed() < PATIENCE, "somebody else answers");
    }
    let told = hall.progress_of(&seats);
    let left = told.iter().filter(|progress| progress.is_none());
    assert_eq!(left.count(), 1, "only who has left");
    hall.fanout.stop();
}

#[test]
fn when_several_threads_stop_each_reader_is_told() {
    let hall = Hall::new(3);
    let mut readers = [(); 30].map(|()| hall.attach(Filter::default(), ":\n\n"));
    hall.fanout.stop();
    for (seat, reader) in &mut readers {
        let read = reader.socket.read_to_string(&mut reader.text);
        read.expect("an end");
        assert!(reader.text.contains("the server is stopping"));
        assert!(reader.text.ends_with("\r\n0\r\n\r\n"));
        assert_eq!(hall.progress(seat), None);
    }
}
