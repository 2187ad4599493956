use std::sync::Arc;

use tokio::sync::watch;

use super::{Filter, Frame, Log};
use crate::{
    model::{EventId, Position},
    store::{JournalPage, PageRequest, Store, StoreError},
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

/// Why a client must load its state anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetReason {
    /// Retention has removed what it needs.
    Retention,
    /// The id is of another journal: history was lost or restored.
    ForeignJournal,
    /// The id is not known here yet.
    Ahead,
}

impl ResetReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::ForeignJournal => "foreign_journal",
            Self::Ahead => "ahead",
        }
    }
}

/// What comes next on a subscription.
#[derive(Debug)]
pub enum Next {
    /// Never empty, in id order.
    Events(Vec<Arc<Frame>>),
    /// Something is missing; the subscription goes on from `head`.
    Reset { reason: ResetReason, head: EventId },
}

/// A cursor on the journal: replays, then follows, with no gap and no
/// duplicate, as fast or slow as it is asked.
pub struct Subscription {
    store: Store,
    log: Arc<Log>,
    head: watch::Receiver<EventId>,
    filter: Filter,
    cursor: EventId,
    /// A reset that was found out at the start and has not been told yet.
    pending_reset: Option<ResetReason>,
}

impl Subscription {
    pub(super) fn new(store: Store, log: Arc<Log>, filter: Filter, start: Start) -> Self {
        // Watched before it is read: what is committed in between is seen.
        let head = log.watch_head();
        let now = log.head();
        let (cursor, pending_reset) = match start {
            Start::Live => (now.id, None),
            Start::After(id) => at(id, now.id),
            Start::Resume(position) if position.journal != now.journal => {
                (now.id, Some(ResetReason::ForeignJournal))
            }
            Start::Resume(position) => at(position.id, now.id),
        };
        Self {
            store,
            log,
            head,
            filter,
            cursor,
            pending_reset,
        }
    }

    /// Everything up to this id has been handed over or did not match.
    pub fn cursor(&self) -> EventId {
        self.cursor
    }

    /// The newest event of the journal.
    pub fn head(&self) -> EventId {
        *self.head.borrow()
    }

    /// A reset known from the start, so that `hello` can tell it.
    pub fn starts_with_reset(&self) -> bool {
        self.pending_reset.is_some()
    }

    /// Waits for the next matching events. May be dropped at any await: what
    /// was not handed over comes again.
    pub async fn next(&mut self) -> Result<Next, StoreError> {
        if let Some(reason) = self.pending_reset.take() {
            return Ok(Next::Reset {
                reason,
                head: self.cursor,
            });
        }
        loop {
            let head = *self.head.borrow_and_update();
            if self.cursor >= head {
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
        let Some(mut frames) = self.log.after(self.cursor, BATCH) else {
            return self.advance_in_journal().await;
        };
        if let Some(last) = frames.last() {
            self.cursor = last.id();
        }
        frames.retain(|frame| self.filter.matches(frame));
        if frames.is_empty() {
            tokio::task::yield_now().await;
            return Ok(None);
        }
        Ok(Some(Next::Events(frames)))
    }

    async fn advance_in_journal(&mut self) -> Result<Option<Next>, StoreError> {
        let (filter, after) = (self.filter.clone(), self.cursor);
        let (floor, page) = self
            .store
            .read(move |reader| {
                let request = PageRequest {
                    after,
                    limit: BATCH,
                };
                Ok((
                    reader.floor(&filter)?,
                    reader.journal_page(&filter, &request)?,
                ))
            })
            .await?;
        let JournalPage {
            frames,
            scanned_to,
            head,
        } = page;
        if after < floor {
            self.cursor = head;
            return Ok(Some(Next::Reset {
                reason: ResetReason::Retention,
                head,
            }));
        }
        self.cursor = scanned_to;
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
