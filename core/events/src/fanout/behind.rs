//! Those who are behind: their part of the past is read from memory, or from the
//! journal, until they have come as far as their thread.

use std::time::Instant;

use tiny_forge_model::{EventId, Position, Reset, ResetReason};

use super::{
    Page, ReplayError,
    selection::Selection,
    shard::{Command, FRAMES_AT_ONCE, Shard, chunks_of},
    subscriber::{Closed, Place, Subscriber},
};
use crate::{Chunks, chunks::chunk, control::Control};

/// Turns of a subscriber that is behind before others have theirs.
const STEPS_AT_ONCE: usize = 4;

/// What a step of a subscriber that is behind has come to.
enum Step {
    Again,
    /// It is live, or its socket or the journal has to make the next move.
    Done,
}

impl Shard {
    /// Brings one that is behind as far as its socket and the time let it.
    pub(super) fn advance(&mut self, key: usize, until: Instant) {
        for _ in 0..STEPS_AT_ONCE {
            if !self.subscribers.contains(key) {
                return;
            }
            match self.step(key) {
                Ok(Step::Again) if Instant::now() < until => {}
                Ok(Step::Again) => break,
                Ok(Step::Done) => return,
                Err(Closed) => return self.remove(key),
            }
        }
        self.eager.push(key);
    }

    fn step(&mut self, key: usize) -> Result<Step, Closed> {
        let subscriber = &mut self.subscribers[key];
        if !subscriber.flush()? {
            return Ok(Step::Done);
        }
        let Place::Behind(after) = subscriber.place else {
            return Ok(Step::Done);
        };
        if after >= self.cursor {
            self.join_live(key);
            return Ok(Step::Done);
        }
        let Some(mut segments) = self.log.segments_after(after, FRAMES_AT_ONCE) else {
            self.read(key, after);
            return Ok(Step::Done);
        };
        segments.retain(|segment| segment.chunks().last() <= self.cursor);
        let chunks = chunks_of(&segments);
        let scanned_to = chunks.last().map_or(self.cursor, |last| last.last());
        let filter = self.filters.filter(subscriber.filter);
        let mut selection = Selection::new(&chunks);
        for (number, segment) in segments.iter().enumerate() {
            for index in segment.chunks().first_after(after)..segment.chunks().len() {
                if filter.matches(&segment.parts(index)) {
                    selection.push(number, index);
                }
            }
        }
        send_past(subscriber, &selection, scanned_to)
    }

    /// Asks for the next page of the journal.
    fn read(&mut self, key: usize, after: EventId) {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        let subscriber = &mut self.subscribers[key];
        subscriber.place = Place::Reading { after, ticket };
        let filter = self.filters.filter(subscriber.filter).clone();
        let page = self.reader.replay.page(filter, after, self.cursor);
        let handle = self.handle.clone();
        let read = async move {
            let page = page.await;
            handle.send(Command::Read { key, ticket, page });
        };
        self.reader.reads.spawn_on(read, &self.reader.runtime);
    }

    pub(super) fn accept_page(&mut self, key: usize, ticket: u64, page: Result<Page, ReplayError>) {
        let Some(subscriber) = self.subscribers.get_mut(key) else {
            return;
        };
        match subscriber.place {
            Place::Reading { ticket: now, .. } if now == ticket => {}
            // It has changed its filter.
            Place::Outdated { after, ticket: now } if now == ticket => {
                subscriber.place = Place::Behind(after);
                self.eager.push(key);
                return;
            }
            // It is another one by now.
            _ => return,
        }
        match subscriber.flush() {
            Ok(true) => {}
            // A bookmark went ahead of it, and is not over yet.
            Ok(false) => {
                subscriber.place = Place::Behind(subscriber.place.after(self.cursor));
                return;
            }
            Err(Closed) => return self.remove(key),
        }
        let sent = match page {
            Ok(page) if page.is_incomplete => {
                let head = Position {
                    id: self.cursor,
                    ..self.log.head()
                };
                let reason = ResetReason::Retention;
                let reset = Control::Reset(Reset { reason, head });
                subscriber.keep(chunk(&reset.sse()).into());
                subscriber.place = Place::Behind(self.cursor);
                Ok(Step::Again)
            }
            Ok(page) => {
                let chunks: Vec<&Chunks> = page.chunks.iter().collect();
                send_past(subscriber, &Selection::all(&chunks), page.scanned_to)
            }
            Err(error) => {
                tracing::warn!(%error, "an event stream had to end; the client will resume");
                Err(Closed)
            }
        };
        match sent {
            Ok(Step::Again) => self.eager.push(key),
            Ok(Step::Done) => {}
            Err(Closed) => self.remove(key),
        }
    }
}

/// To one that is behind.
fn send_past(
    subscriber: &mut Subscriber,
    selection: &Selection<'_>,
    scanned_to: EventId,
) -> Result<Step, Closed> {
    let bytes = selection.bytes();
    let taken = match bytes {
        0 => 0,
        _ => subscriber.write(&selection.slices())?,
    };
    if taken == bytes {
        subscriber.place = Place::Behind(scanned_to);
        return Ok(Step::Again);
    }
    let cut = selection.cut(taken);
    subscriber.keep(cut.rest);
    subscriber.place = Place::Behind(cut.after);
    // Only a socket that has taken nothing is full, and tells when it has room.
    Ok(match taken {
        0 => Step::Done,
        _ => Step::Again,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
    };

    use std::{io::Read, sync::Arc, time::Duration};

    use bytes::Bytes;

    use super::{
        super::{Handle, shard::Reader, tests::NoPast},
        *,
    };
    use crate::{ChunksBuilder, Log, doorbell::Doorbell};

    /// At event 9, with one subscriber that waits for what follows 6.
    fn shard(subscriber: Subscriber, runtime: &tokio::runtime::Runtime) -> (Shard, usize) {
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), super::super::shard::DOORBELL);
        let handle = Handle {
            inbox: Arc::default(),
            doorbell: Arc::new(Doorbell::new(waker.expect("a waker"))),
        };
        let log = Log::new();
        log.start("j1", EventId(9));
        let reader = Reader {
            replay: Arc::new(NoPast),
            runtime: runtime.handle().clone(),
            reads: tokio_util::task::TaskTracker::new(),
        };
        let mut shard = Shard::new(poll, handle, log, reader);
        let key = shard.subscribers.insert(subscriber);
        shard.subscribers[key].place = Place::Reading {
            after: EventId(6),
            ticket: 1,
        };
        (shard, key)
    }

    /// A subscriber whose socket has no room, and its client.
    fn full() -> (Subscriber, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).expect("connected");
        let (mut socket, _) = listener.accept().expect("accepted");
        socket.set_nonblocking(true).expect("set");
        while socket.write(&[0; 64 << 10]).is_ok() {}
        let subscriber = Subscriber::new(0, socket, 0, EventId(6), "", Box::new(()));
        (subscriber, client)
    }

    fn three_frames() -> Chunks {
        let mut chunks = ChunksBuilder::new("jtest");
        for id in 7..10 {
            chunks.push(EventId(id), |json| json.extend_from_slice(b"{}"));
        }
        chunks.seal().expect("three frames")
    }

    #[test]
    fn a_page_of_the_past_does_not_get_into_a_bookmark_that_waits_for_the_socket() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        let (mut subscriber, mut client) = full();
        subscriber.keep(Bytes::new());
        let (mut shard, key) = shard(subscriber, &runtime);
        shard.bookmark(key, "j1");
        assert!(shard.subscribers[key].has_rest());
        let page = Page {
            chunks: Some(three_frames()),
            scanned_to: EventId(9),
            is_incomplete: false,
        };
        shard.accept_page(key, 1, Ok(page));
        assert_eq!(shard.subscribers[key].place, Place::Behind(EventId(6)));

        let patience = Some(Duration::from_secs(20));
        client.set_read_timeout(patience).expect("set");
        let (mut told, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        while !told.ends_with(b"\n\n\r\n") {
            let read = client.read(&mut buffer).expect("something comes");
            told.extend(buffer[..read].iter().filter(|byte| **byte != 0));
            assert!(shard.subscribers[key].flush().is_ok());
        }
        let told = String::from_utf8(told).expect("text");
        assert!(told.contains("event: bookmark\n"), "{told}");
        assert!(!told.contains("jtest"), "{told}");
    }

    #[test]
    fn a_socket_that_takes_nothing_is_asked_again_when_it_has_room() {
        let (mut subscriber, _client) = full();
        let chunks = three_frames();
        let all = [&chunks];
        let sent = send_past(&mut subscriber, &Selection::all(&all), chunks.last());
        assert!(matches!(sent, Ok(Step::Done)));
        assert_eq!(subscriber.place, Place::Behind(EventId(6)));
    }
}
