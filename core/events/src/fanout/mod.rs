//! Sockets of event streams, written by a few threads.
//!
//! A subscriber is a socket, a filter and a place: either it is live, which
//! means that it has been sent all that its thread has seen, or it is behind.
//! There is no queue, task or channel for it. What a thread writes are the
//! bytes of shared segments.

mod behind;
mod selection;
mod shard;
mod subscriber;
#[cfg(test)]
mod tests;

use std::{
    any::Any,
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use futures_util::future::BoxFuture;
use tiny_forge_model::EventId;
use tokio::{runtime, sync::oneshot};
use tokio_util::task::TaskTracker;

use crate::{Chunks, Filter, Log, doorbell::Doorbell, vital};
use shard::{Command, Shard};

/// Threads at most: each keeps a core busy at several hundred thousand
/// deliveries a second.
const SHARDS_MAX: usize = 8;

/// The past, for those who have fallen out of memory.
pub trait Replay: Send + Sync + 'static {
    /// What `filter` lets through after `after` up to `until`, from the oldest
    /// on, as much as is read at once.
    fn page(
        &self,
        filter: Filter,
        after: EventId,
        until: EventId,
    ) -> BoxFuture<'static, Result<Page, ReplayError>>;
}

/// A part of the past.
#[derive(Debug)]
pub struct Page {
    /// What matches; `None` where nothing does.
    pub chunks: Option<Chunks>,
    /// Everything up to this id has been looked at.
    pub scanned_to: EventId,
    /// Retention has removed what might have matched.
    pub is_incomplete: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the journal could not be read: {0}")]
pub struct ReplayError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// A new subscriber.
pub struct Attachment {
    /// Connected, and with the head of an HTTP/1.1 response already sent, whose
    /// body is chunked.
    pub socket: std::net::TcpStream,
    pub filter: Filter,
    /// It has seen everything up to here; at most the head of the log.
    pub after: EventId,
    /// Sent before anything else.
    pub opening: String,
    /// Dropped when the subscriber is gone.
    pub guard: Box<dyn Any + Send>,
}

/// How far a subscriber has come, and what it gets from there on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub after: EventId,
    pub filter: Filter,
    pub sent_bytes: u64,
}

/// The subscriber has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this event stream has ended")]
pub struct Gone;

/// The threads that write to sockets. Cheap to clone.
#[derive(Clone)]
pub struct Fanout {
    shards: Arc<[Handle]>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    next: Arc<AtomicU64>,
}

/// A place for one subscriber, taken before its socket is at hand.
#[derive(Clone)]
pub struct Seat {
    shard: Handle,
    number: u64,
}

/// Commands that a thread has not seen yet: one for each stream that is opened or read for,
/// and for each request that is under way, so their limits are its own.
#[derive(Default)]
struct Inbox {
    commands: Vec<Command>,
    /// The thread has ended.
    is_closed: bool,
}

/// The way to one of the threads.
#[derive(Clone)]
struct Handle {
    inbox: Arc<Mutex<Inbox>>,
    doorbell: Arc<Doorbell>,
}

impl Fanout {
    /// Starts a thread for every two cores.
    pub fn start(
        log: &Arc<Log>,
        replay: &Arc<dyn Replay>,
        runtime: &runtime::Handle,
    ) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_shards((cores / 2).clamp(1, SHARDS_MAX), log, replay, runtime)
    }

    fn with_shards(
        count: usize,
        log: &Arc<Log>,
        replay: &Arc<dyn Replay>,
        runtime: &runtime::Handle,
    ) -> io::Result<Self> {
        let reads = TaskTracker::new();
        let mut shards = Vec::new();
        let mut threads = Vec::new();
        for number in 0..count {
            let poll = mio::Poll::new()?;
            let waker = mio::Waker::new(poll.registry(), shard::DOORBELL)?;
            let handle = Handle {
                inbox: Arc::default(),
                doorbell: Arc::new(Doorbell::new(waker)),
            };
            log.add_doorbell(handle.doorbell.clone());
            let reader = shard::Reader {
                replay: replay.clone(),
                runtime: runtime.clone(),
                reads: reads.clone(),
            };
            let shard = Shard::new(poll, handle.clone(), log.clone(), reader);
            let thread = thread::Builder::new().name(format!("fanout-{number}"));
            let closing = Closing(handle.clone());
            threads.push(thread.spawn(move || {
                let _closing = closing;
                vital("fan-out", || shard.run());
            })?);
            shards.push(handle);
        }
        Ok(Self {
            shards: shards.into(),
            threads: Arc::new(Mutex::new(threads)),
            next: Arc::default(),
        })
    }

    pub fn seat(&self) -> Seat {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Seat {
            shard: self.shards[self.shard_of(number)].clone(),
            number,
        }
    }

    /// How far each of these has come; `None` for who has left. One question for each thread,
    /// however many they are.
    pub async fn progress(&self, seats: &[Seat]) -> Vec<Option<Progress>> {
        let mut wanted = vec![Vec::new(); self.shards.len()];
        for seat in seats {
            wanted[self.shard_of(seat.number)].push(seat.number);
        }
        wanted
            .iter_mut()
            .for_each(|numbers| numbers.sort_unstable());
        let mut answers = Vec::new();
        for (shard, numbers) in self.shards.iter().zip(wanted) {
            if !numbers.is_empty() {
                let (reply, answer) = oneshot::channel();
                shard.send(Command::Tell(numbers, reply));
                answers.push(answer);
            }
        }
        let mut told = HashMap::new();
        for answer in answers {
            // A thread that has ended has no subscribers.
            told.extend(answer.await.unwrap_or_default());
        }
        let numbers = seats.iter().map(|seat| seat.number);
        numbers.map(|number| told.remove(&number)).collect()
    }

    fn shard_of(&self, number: u64) -> usize {
        usize::try_from(number % self.shards.len() as u64).unwrap_or(0)
    }

    /// Says farewell to every subscriber, and waits until the threads are done.
    /// Blocks: for a few milliseconds.
    pub fn stop(&self) {
        for shard in self.shards.iter() {
            shard.send(Command::Stop);
        }
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            thread.join().unwrap_or_default();
        }
    }
}

impl Seat {
    pub fn attach(&self, attachment: Attachment) {
        self.shard
            .send(Command::Attach(self.number, Box::new(attachment)));
    }

    /// From now on the subscriber gets what `filter` lets through. The answer
    /// says since when: what comes after that event is chosen by it.
    pub async fn change(&self, filter: Filter) -> Result<EventId, Gone> {
        let (reply, answer) = oneshot::channel();
        self.shard
            .send(Command::Change(self.number, Box::new(filter), reply));
        answer.await.map_err(|_| Gone)
    }
}

/// When a thread has ended: what it is told afterwards is dropped, which is an answer.
struct Closing(Handle);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Handle {
    /// Nothing is taken from now on.
    fn close(&self) {
        let mut inbox = self.inbox();
        inbox.is_closed = true;
        inbox.commands.clear();
    }

    fn send(&self, command: Command) {
        let mut inbox = self.inbox();
        if !inbox.is_closed {
            inbox.commands.push(command);
        }
        drop(inbox);
        self.doorbell.ring();
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
