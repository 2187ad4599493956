use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, event::Event};
use slab::Slab;
use tiny_forge_model::{EventId, Position, Timestamp};
use tokio::{runtime, sync::oneshot};
use tokio_util::task::TaskTracker;

use super::{
    Attachment, Handle, Page, Progress, Replay, ReplayError,
    selection::Selection,
    subscriber::{Closed, Place, Subscriber},
};
use crate::{
    Chunks, Filter, FilterIndex, Log, Segment,
    chunks::chunk,
    control::{BOOKMARK_SECONDS, Control},
};

pub const DOORBELL: Token = Token(usize::MAX);

/// A part of the subscribers is sent a bookmark at each tick, so many parts there are.
const BOOKMARK_TICKS: usize = BOOKMARK_SECONDS;
/// An hour in tests: whoever is not woken does not wake by itself a moment later.
const TICK: Duration = Duration::from_secs(if cfg!(test) { 3_600 } else { 1 });

/// At a time, for those who are behind.
const CATCHING_UP: Duration = Duration::from_millis(5);

/// Frames that are looked at together: what one subscriber gets in a turn.
pub(super) const FRAMES_AT_ONCE: usize = 4_096;

/// What a thread is told by others.
pub enum Command {
    Attach(u64, Box<Attachment>),
    Change(u64, Box<Filter>, oneshot::Sender<EventId>),
    /// In ascending order.
    Tell(Vec<u64>, oneshot::Sender<Vec<(u64, Progress)>>),
    Read {
        key: usize,
        ticket: u64,
        page: Result<Page, ReplayError>,
    },
    Stop,
}

/// Reads the past on other threads.
pub struct Reader {
    pub replay: Arc<dyn Replay>,
    pub runtime: runtime::Handle,
    pub reads: TaskTracker,
}

/// One thread with its subscribers.
pub struct Shard {
    poll: Poll,
    pub(super) handle: Handle,
    pub(super) log: Arc<Log>,
    pub(super) reader: Reader,
    pub(super) subscribers: Slab<Subscriber>,
    pub(super) filters: FilterIndex,
    /// By filter: keys of the subscribers that are live.
    live: Vec<Vec<usize>>,
    /// Everything up to here has been sent to all who are live.
    pub(super) cursor: EventId,
    /// Behind, though their sockets would take more.
    pub(super) eager: Vec<usize>,
    pub(super) next_ticket: u64,
    tick: usize,
    next_tick: Instant,
    stopping: bool,
}

impl Shard {
    pub(super) fn new(poll: Poll, handle: Handle, log: Arc<Log>, reader: Reader) -> Self {
        Self {
            poll,
            handle,
            cursor: log.head_id(),
            log,
            reader,
            subscribers: Slab::new(),
            filters: FilterIndex::default(),
            live: Vec::new(),
            eager: Vec::new(),
            next_ticket: 0,
            tick: 0,
            next_tick: Instant::now() + TICK,
            stopping: false,
        }
    }

    pub fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.stopping {
            if let Err(error) = self.sleep(&mut events) {
                panic!("a fan-out thread cannot wait for its sockets: {error}");
            }
            for event in events.iter().filter(|event| event.token() != DOORBELL) {
                self.socket_moved(event);
            }
            self.catch_up();
            let commands = self.take_commands();
            // Before them: nobody attaches ahead of this thread's cursor.
            self.send_news();
            for command in commands {
                self.obey(command);
            }
            self.keep_time();
        }
        self.handle.close();
        for (_, subscriber) in self.subscribers {
            subscriber.finish(&Control::farewell().sse());
        }
    }

    /// Until there is something to do.
    fn sleep(&mut self, events: &mut Events) -> std::io::Result<()> {
        self.handle.doorbell.going_to_sleep();
        let is_idle = self.eager.is_empty()
            && self.log.head_id() <= self.cursor
            && self.handle.inbox().commands.is_empty();
        let timeout = if is_idle {
            self.next_tick.saturating_duration_since(Instant::now())
        } else {
            Duration::ZERO
        };
        let polled = self.poll.poll(events, Some(timeout));
        self.handle.doorbell.awake();
        polled.or_else(|error| match error.kind() {
            std::io::ErrorKind::Interrupted => Ok(()),
            _ => Err(error),
        })
    }

    /// Those who are behind, for a while: what is new is sent in between.
    fn catch_up(&mut self) {
        let ends = Instant::now() + CATCHING_UP;
        let mut eager = std::mem::take(&mut self.eager).into_iter();
        for key in eager.by_ref() {
            self.advance(key, ends);
            if Instant::now() >= ends {
                break;
            }
        }
        // Who had no turn is before who wants another one.
        let mut next: Vec<usize> = eager.collect();
        next.append(&mut self.eager);
        self.eager = next;
    }

    fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.handle.inbox().commands)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Attach(number, attachment) => self.attach(number, *attachment),
            Command::Change(number, filter, reply) => self.change(number, &filter, reply),
            Command::Tell(numbers, reply) => self.tell(&numbers, reply),
            Command::Read { key, ticket, page } => self.accept_page(key, ticket, page),
            Command::Stop => self.stopping = true,
        }
    }

    /// Sends what is new to those who are live and want it.
    fn send_news(&mut self) {
        // What comes meanwhile has its turn after the sockets and commands.
        let head = self.log.head_id();
        while self.cursor < head {
            match self.log.segments_after(self.cursor, FRAMES_AT_ONCE) {
                Some(segments) => self.send_segments(&segments),
                None => self.fall_behind(),
            }
        }
    }

    fn send_segments(&mut self, segments: &[Arc<Segment>]) {
        let Some(last) = segments.last() else { return };
        self.cursor = last.chunks().last();
        let chunks = chunks_of(segments);
        let mut selections: Vec<Option<Selection<'_>>> = Vec::new();
        selections.resize_with(self.live.len(), || None);
        for (number, segment) in segments.iter().enumerate() {
            for index in 0..segment.chunks().len() {
                self.filters.matching(&segment.parts(index), |filter| {
                    selections[filter]
                        .get_or_insert_with(|| Selection::new(&chunks))
                        .push(number, index);
                });
            }
        }
        for (filter, selection) in selections.iter().enumerate() {
            if let Some(selection) = selection {
                self.send_to_live(filter, selection);
            }
        }
    }

    fn send_to_live(&mut self, filter: usize, selection: &Selection<'_>) {
        let (slices, bytes) = (selection.slices(), selection.bytes());
        // From the end: who falls behind is replaced by the last one, who had its turn.
        for member in (0..self.live[filter].len()).rev() {
            let key = self.live[filter][member];
            match self.subscribers[key].write(&slices) {
                Ok(taken) if taken == bytes => {}
                Ok(taken) => {
                    let cut = selection.cut(taken);
                    self.subscribers[key].keep(cut.rest);
                    self.leave_live(key);
                    self.subscribers[key].place = Place::Behind(cut.after);
                    // A writev has its limit, too: not each cut is a full socket.
                    self.eager.push(key);
                }
                Err(Closed) => self.remove(key),
            }
        }
    }

    /// This thread itself has fallen out of memory.
    fn fall_behind(&mut self) {
        let from = self.cursor;
        self.cursor = self.log.head_id();
        for key in self.live.iter_mut().flat_map(std::mem::take) {
            self.subscribers[key].place = Place::Behind(from);
            self.eager.push(key);
        }
    }

    fn attach(&mut self, number: u64, attachment: Attachment) {
        let Attachment {
            socket,
            filter,
            after,
            opening,
            guard,
        } = attachment;
        let filter = self.intern(&filter);
        let subscriber = Subscriber::new(number, socket, filter, after, &opening, guard);
        let key = self.subscribers.insert(subscriber);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let socket = &mut self.subscribers[key].socket;
        match self.poll.registry().register(socket, Token(key), interest) {
            Ok(()) => self.eager.push(key),
            Err(error) => {
                tracing::warn!(%error, "an event stream could not be waited for");
                self.remove(key);
            }
        }
    }

    fn change(&mut self, number: u64, filter: &Filter, reply: oneshot::Sender<EventId>) {
        // Without an answer the other side knows that it has left.
        let Some(key) = self.find(number) else { return };
        let new = self.intern(filter);
        let old = self.subscribers[key].filter;
        let place = match self.subscribers[key].place {
            Place::Live => {
                self.leave_live(key);
                Place::Behind(self.cursor)
            }
            Place::Reading { after, ticket } => Place::Outdated { after, ticket },
            place => place,
        };
        self.filters.release(old);
        let subscriber = &mut self.subscribers[key];
        subscriber.filter = new;
        subscriber.place = place;
        // Who asked may have gone away; the filter holds all the same.
        let _ = reply.send(place.after(self.cursor));
        self.eager.push(key);
    }

    /// However many are asked for, all subscribers are looked at once.
    fn tell(&self, numbers: &[u64], reply: oneshot::Sender<Vec<(u64, Progress)>>) {
        let all = self.subscribers.iter().map(|(_, subscriber)| subscriber);
        let wanted = all.filter(|it| numbers.binary_search(&it.number).is_ok());
        let told = wanted.map(|it| (it.number, self.progress(it))).collect();
        // Who asked may have gone away.
        let _ = reply.send(told);
    }

    fn progress(&self, subscriber: &Subscriber) -> Progress {
        Progress {
            after: subscriber.place.after(self.cursor),
            filter: self.filters.filter(subscriber.filter).clone(),
            sent_bytes: subscriber.sent_bytes,
        }
    }

    fn socket_moved(&mut self, event: &Event) {
        let key = event.token().0;
        let Some(subscriber) = self.subscribers.get_mut(key) else {
            return;
        };
        let is_gone = event.is_error() || event.is_read_closed() || event.is_write_closed();
        if is_gone || (event.is_readable() && subscriber.listen().is_err()) {
            self.remove(key);
        } else if event.is_writable() {
            self.eager.push(key);
        }
    }

    /// Bookmarks, to a part of the subscribers at each tick.
    fn keep_time(&mut self) {
        let now = Instant::now();
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        self.tick = (self.tick + 1) % BOOKMARK_TICKS;
        let journal = self.log.head().journal;
        let keys = self.subscribers.iter().map(|(key, _)| key);
        let keys: Vec<usize> = keys
            .filter(|key| key % BOOKMARK_TICKS == self.tick)
            .collect();
        for key in keys {
            self.bookmark(key, &journal);
        }
    }

    /// Also to one that is behind: what it looks through may have nothing for it for long.
    pub(super) fn bookmark(&mut self, key: usize, journal: &str) {
        let subscriber = &mut self.subscribers[key];
        if subscriber.has_rest() {
            return;
        }
        let at = Position {
            id: subscriber.place.after(self.cursor),
            journal: journal.to_owned(),
        };
        let time = Timestamp::now();
        subscriber.keep(chunk(&Control::Bookmark { at, time }.sse()).into());
        match subscriber.flush() {
            Ok(false) if subscriber.place == Place::Live => {
                self.leave_live(key);
                self.subscribers[key].place = Place::Behind(self.cursor);
            }
            Ok(_) => {}
            Err(Closed) => self.remove(key),
        }
    }

    pub(super) fn join_live(&mut self, key: usize) {
        let subscriber = &mut self.subscribers[key];
        subscriber.place = Place::Live;
        subscriber.member = self.live[subscriber.filter].len();
        self.live[subscriber.filter].push(key);
    }

    fn leave_live(&mut self, key: usize) {
        let Subscriber { filter, member, .. } = self.subscribers[key];
        let live = &mut self.live[filter];
        live.swap_remove(member);
        if let Some(moved) = live.get(member) {
            self.subscribers[*moved].member = member;
        }
    }

    pub(super) fn remove(&mut self, key: usize) {
        if self.subscribers[key].place == Place::Live {
            self.leave_live(key);
        }
        let mut subscriber = self.subscribers.remove(key);
        self.filters.release(subscriber.filter);
        // It is closed next, which ends its registration as well.
        let _ = self.poll.registry().deregister(&mut subscriber.socket);
    }

    fn intern(&mut self, filter: &Filter) -> usize {
        let number = self.filters.intern(filter);
        if number == self.live.len() {
            self.live.push(Vec::new());
        }
        number
    }

    fn find(&self, number: u64) -> Option<usize> {
        let mut subscribers = self.subscribers.iter();
        subscribers
            .find(|(_, subscriber)| subscriber.number == number)
            .map(|(key, _)| key)
    }
}

pub(super) fn chunks_of(segments: &[Arc<Segment>]) -> Vec<&Chunks> {
    segments.iter().map(|segment| segment.chunks()).collect()
}
