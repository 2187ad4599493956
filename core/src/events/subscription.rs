use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::{Filter, Frame, Log, Progress};
use crate::{
    model::{EventId, Position, ResetReason},
    store::{PageRequest, Store, StoreError},
};

/// Frames handed over at once.
const BATCH: usize = 512;
/// And how long they are together, unless it is one alone: somebody who does not take
/// them keeps them in memory.
const BATCH_BYTES: usize = 256 << 10;
/// The same for clients, of which there are many: one that does not read has two of them.
const CLIENT_BATCH_BYTES: usize = 64 << 10;

/// Where a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Live,
    /// With the oldest event that is left.
    Oldest,
    /// After an event of our own journal.
    After(EventId),
    /// After a position that a client remembers, maybe of another history.
    Resume(Position),
    /// After something that a client remembers, and nobody knows.
    Unknown,
}

/// What becomes of a gap that retention has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaps {
    /// The subscription goes on from the head: whoever has it loads anew.
    Reset,
    /// It is told, and what is left is handed over: nothing that is there is passed over
    /// because something else is not.
    Tell,
    /// What is left is handed over without a word.
    Pass,
}

impl Start {
    /// The event of this journal that it is after; none where it is of no such.
    pub fn after(&self, journal: &str) -> Option<EventId> {
        match self {
            Self::After(id) => Some(*id),
            Self::Resume(position) => (position.journal == journal).then_some(position.id),
            Self::Oldest => Some(EventId(0)),
            Self::Live | Self::Unknown => None,
        }
    }

    /// The id to go on from, and whether the client must be told that something
    /// is missing: up to `floor` retention has taken some of what is wanted.
    pub fn resolve(self, log: &Log, floor: EventId) -> (EventId, Option<ResetReason>) {
        let now = log.head();
        let id = match self {
            Self::Live => return (now.id, None),
            Self::Oldest => return (floor.min(now.id), None),
            Self::Resume(position) if position.journal != now.journal => {
                return (now.id, Some(ResetReason::ForeignJournal));
            }
            Self::Unknown => return (now.id, Some(ResetReason::ForeignJournal)),
            Self::Resume(Position { id, .. }) | Self::After(id) => id,
        };
        if id > now.id {
            (now.id, Some(ResetReason::Ahead))
        } else if id < floor && log.after(id, 1).is_none() {
            (now.id, Some(ResetReason::Retention))
        } else {
            (id, None)
        }
    }
}

/// What comes next on a subscription.
#[derive(Debug)]
pub enum Next {
    /// Never empty, in id order.
    Events(Vec<Frame>),
    /// Something is missing; the subscription goes on from `head`. For who wants what is
    /// left, retention has taken some of what was up to `head`, and it goes on where it was.
    Reset { reason: ResetReason, head: EventId },
}

/// A cursor on the journal: replays, then follows, with no gap and no
/// duplicate, as fast or slow as it is asked.
pub struct Subscription {
    store: Store,
    log: Arc<Log>,
    head: watch::Receiver<EventId>,
    steering: Steering,
    /// A reset that was found out at the start and has not been told yet.
    pending_reset: Option<ResetReason>,
    /// Up to where gaps were told, for who wants what is left.
    gap_told: Option<EventId>,
    batch_bytes: usize,
    /// For reading the journal, of many alike. Who asks for something else meanwhile waits
    /// anew: a turn that nobody uses would keep all others from theirs.
    turns: Option<Arc<Semaphore>>,
}

/// Where a subscription is and what it wants, for others to see and to change.
#[derive(Clone)]
pub struct Steering(Arc<Mutex<Course>>);

#[derive(Clone)]
struct Course {
    filter: Arc<Filter>,
    /// Everything up to here has been handed over or did not match.
    cursor: EventId,
    /// The first of what was handed over and is held back.
    held_back: Option<EventId>,
}

impl Course {
    fn passed(&self) -> EventId {
        self.held_back
            .map_or(self.cursor, |first| EventId(first.0 - 1))
    }
}

impl Steering {
    /// From now on the subscription hands over what `filter` lets through; the
    /// answer says since when: what comes after that event is chosen by it.
    pub fn change(&self, filter: Filter) -> EventId {
        let mut course = self.course();
        course.filter = Arc::new(filter);
        course.cursor
    }

    pub fn cursor(&self) -> EventId {
        self.course().cursor
    }

    pub fn progress(&self, sent_bytes: u64) -> Progress {
        let course = self.course();
        Progress {
            after: course.passed(),
            filter: Filter::clone(&course.filter),
            sent_bytes,
        }
    }

    /// Goes on from `to`, if nobody has changed course in the meantime.
    fn go_on(&self, from: &Course, to: EventId) -> bool {
        let mut course = self.course();
        let is_unchanged = Arc::ptr_eq(&course.filter, &from.filter);
        if is_unchanged {
            course.cursor = to;
        }
        is_unchanged
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    pub(super) fn new(
        store: Store,
        log: Arc<Log>,
        filter: Filter,
        start: Start,
        gaps: Gaps,
    ) -> Self {
        // Watched before it is read: what is committed in between is seen.
        let head = log.watch_head();
        let (floor, gap_told) = match gaps {
            Gaps::Reset => (store.floor(&filter), None),
            Gaps::Tell => (EventId(0), Some(EventId(0))),
            Gaps::Pass => (EventId(0), Some(EventId(i64::MAX))),
        };
        let (cursor, pending_reset) = start.resolve(&log, floor);
        let course = Course {
            filter: Arc::new(filter),
            cursor,
            held_back: None,
        };
        Self {
            store,
            log,
            head,
            steering: Steering(Arc::new(Mutex::new(course))),
            pending_reset,
            gap_told,
            batch_bytes: BATCH_BYTES,
            turns: None,
        }
    }

    pub(super) fn in_turns(self, turns: Arc<Semaphore>) -> Self {
        Self {
            batch_bytes: CLIENT_BATCH_BYTES,
            turns: Some(turns),
            ..self
        }
    }

    /// Everything up to this id has been handed over or did not match.
    pub fn cursor(&self) -> EventId {
        self.steering.cursor()
    }

    /// Everything up to this id has gone out, is outdated, or did not match.
    pub fn passed(&self) -> EventId {
        self.steering.course().passed()
    }

    /// Whoever has this subscription keeps what it got, from `first` on, for a while.
    pub fn hold_back(&self, first: Option<EventId>) {
        self.steering.course().held_back = first;
    }

    /// A reset known from the start, so that `hello` can tell it.
    pub fn starts_with_reset(&self) -> bool {
        self.pending_reset.is_some()
    }

    pub fn steering(&self) -> Steering {
        self.steering.clone()
    }

    /// Waits for the next matching events. May be dropped at any await: what
    /// was not handed over comes again.
    pub async fn next(&mut self) -> Result<Next, StoreError> {
        if let Some(reason) = self.pending_reset.take() {
            return Ok(Next::Reset {
                reason,
                head: self.cursor(),
            });
        }
        loop {
            let head = *self.head.borrow_and_update();
            if self.cursor() >= head {
                self.head.changed().await.map_err(|_| StoreError::Closed)?;
                continue;
            }
            if let Some(next) = self.advance().await? {
                return Ok(next);
            }
        }
    }

    /// One step towards the head, from memory where it reaches back that far.
    async fn advance(&mut self) -> Result<Option<Next>, StoreError> {
        let course = self.steering.course().clone();
        let Some(mut frames) = self.log.after(course.cursor, BATCH) else {
            return self.advance_in_journal(course).await;
        };
        let Some(last) = frames.last().map(Frame::id) else {
            return Ok(None);
        };
        frames.retain(|frame| course.filter.matches(&frame.parts()));
        let last = within_limit(&mut frames, self.batch_bytes).unwrap_or(last);
        if !self.steering.go_on(&course, last) {
            return Ok(None);
        }
        if frames.is_empty() {
            tokio::task::yield_now().await;
            return Ok(None);
        }
        Ok(Some(Next::Events(frames)))
    }

    async fn advance_in_journal(&mut self, course: Course) -> Result<Option<Next>, StoreError> {
        let (filter, after, bytes) = (course.filter.clone(), course.cursor, self.batch_bytes);
        let turns = self.turns.clone();
        let turn = match &turns {
            Some(turns) => Some(turns.acquire().await),
            None => None,
        };
        let (floor, page) = self
            .store
            .read(move |reader| {
                let request = PageRequest {
                    bytes,
                    ..PageRequest::new(after, BATCH)
                };
                Ok((
                    reader.floor(&filter)?,
                    reader.journal_page(&filter, &request)?,
                ))
            })
            .await?;
        drop(turn);
        if let Some(told) = self.gap_told.filter(|_| after < floor)
            && told < floor
        {
            self.gap_told = Some(floor);
            return Ok(Some(Next::Reset {
                reason: ResetReason::Retention,
                head: floor,
            }));
        }
        let is_incomplete = after < floor && self.gap_told.is_none();
        let mut frames: Vec<Frame> = page.frames().collect();
        let to = if is_incomplete {
            page.head
        } else {
            within_limit(&mut frames, bytes).unwrap_or(page.scanned_to)
        };
        if !self.steering.go_on(&course, to) {
            return Ok(None);
        }
        if is_incomplete {
            return Ok(Some(Next::Reset {
                reason: ResetReason::Retention,
                head: to,
            }));
        }
        Ok((!frames.is_empty()).then_some(Next::Events(frames)))
    }
}

/// Leaves out what is too much at once. The last that stays, where any had to go.
fn within_limit(frames: &mut Vec<Frame>, bytes_max: usize) -> Option<EventId> {
    let mut bytes = 0;
    let too_many = frames.iter().position(|frame| {
        bytes += frame.sse().len();
        bytes > bytes_max
    });
    frames.truncate(too_many?.max(1));
    frames.last().map(Frame::id)
}
