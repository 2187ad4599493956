use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Filter, Frame, Log, ResetReason};
use crate::{
    model::{EventId, Position},
    store::{PageRequest, Store, StoreError},
};

/// Frames handed over at once.
const BATCH: usize = 512;

/// Where a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Live,
    /// After an event of our own journal.
    After(EventId),
    /// After a position that a client remembers, maybe of another history.
    Resume(Position),
}

impl Start {
    /// The id to go on from, and whether the client must be told that something
    /// is missing.
    pub fn resolve(self, log: &Log) -> (EventId, Option<ResetReason>) {
        let now = log.head();
        match self {
            Self::Live => (now.id, None),
            Self::After(id) => at(id, now.id),
            Self::Resume(position) if position.journal != now.journal => {
                (now.id, Some(ResetReason::ForeignJournal))
            }
            Self::Resume(position) => at(position.id, now.id),
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
}

/// Where a subscription is and what it wants, for others to see and to change.
#[derive(Clone)]
pub struct Steering(Arc<Mutex<Course>>);

#[derive(Clone)]
struct Course {
    filter: Arc<Filter>,
    /// Everything up to here has been handed over or did not match.
    cursor: EventId,
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
    pub(super) fn new(store: Store, log: Arc<Log>, filter: Filter, start: Start) -> Self {
        // Watched before it is read: what is committed in between is seen.
        let head = log.watch_head();
        let (cursor, pending_reset) = start.resolve(&log);
        let course = Course {
            filter: Arc::new(filter),
            cursor,
        };
        Self {
            store,
            log,
            head,
            steering: Steering(Arc::new(Mutex::new(course))),
            pending_reset,
            gap_told: None,
        }
    }

    /// Nothing that is there is passed over because something else is not.
    pub fn with_what_is_left(mut self) -> Self {
        self.gap_told = Some(EventId(0));
        self
    }

    /// Everything up to this id has been handed over or did not match.
    pub fn cursor(&self) -> EventId {
        self.steering.cursor()
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
        if !self.steering.go_on(&course, last) {
            return Ok(None);
        }
        frames.retain(|frame| course.filter.matches(&frame.parts()));
        if frames.is_empty() {
            tokio::task::yield_now().await;
            return Ok(None);
        }
        Ok(Some(Next::Events(frames)))
    }

    async fn advance_in_journal(&mut self, course: Course) -> Result<Option<Next>, StoreError> {
        let (filter, after) = (course.filter.clone(), course.cursor);
        let (floor, page) = self
            .store
            .read(move |reader| {
                let request = PageRequest::new(after, BATCH);
                Ok((
                    reader.floor(&filter)?,
                    reader.journal_page(&filter, &request)?,
                ))
            })
            .await?;
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
        let to = if is_incomplete {
            page.head
        } else {
            page.scanned_to
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
        let frames: Vec<Frame> = page.frames().collect();
        Ok((!frames.is_empty()).then_some(Next::Events(frames)))
    }
}

fn at(id: EventId, head: EventId) -> (EventId, Option<ResetReason>) {
    if id > head {
        (head, Some(ResetReason::Ahead))
    } else {
        (id, None)
    }
}
