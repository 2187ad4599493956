use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use super::Frame;
use crate::model::{EventId, Position};

/// Frames kept in memory. A subscriber that is further behind reads on from
/// the journal.
const FRAMES_MAX: usize = 16_384;
const BYTES_MAX: usize = 16 << 20;

/// The newest part of the journal, in memory, and the signal that it grew.
///
/// The mutex is held for a few copies of pointers only, never across an await.
pub struct Log {
    recent: Mutex<Recent>,
    head: watch::Sender<EventId>,
}

#[derive(Default)]
struct Recent {
    journal: String,
    /// Ids without a hole, oldest first.
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    /// Everything up to this id has left, or never was in memory.
    gone: EventId,
}

impl Log {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            recent: Mutex::default(),
            head: watch::Sender::new(EventId(0)),
        })
    }

    /// Where the journal stood when the store was opened.
    pub(crate) fn start(&self, journal: &str, head: EventId) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Recent {
            journal: journal.to_owned(),
            gone: head,
            ..Recent::default()
        };
        drop(recent);
        self.head.send_replace(head);
    }

    /// Called by the store's writer after each commit, in id order.
    pub(crate) fn append(&self, frames: Vec<Arc<Frame>>) {
        let Some(head) = frames.last().map(|frame| frame.id()) else {
            return;
        };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.bytes += frames.iter().map(|frame| frame.weight()).sum::<usize>();
        recent.frames.extend(frames);
        while recent.frames.len() > FRAMES_MAX || recent.bytes > BYTES_MAX {
            let Some(oldest) = recent.frames.pop_front() else {
                break;
            };
            recent.bytes -= oldest.weight();
            recent.gone = oldest.id();
        }
        drop(recent);
        self.head.send_replace(head);
    }

    pub fn head(&self) -> Position {
        let journal = self
            .recent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .journal
            .clone();
        Position {
            journal,
            id: *self.head.borrow(),
        }
    }

    /// Wakes whenever the head moves.
    pub(super) fn watch_head(&self) -> watch::Receiver<EventId> {
        self.head.subscribe()
    }

    /// Up to `limit` frames after `cursor`, or `None` where memory does not
    /// reach back that far.
    pub(super) fn after(&self, cursor: EventId, limit: usize) -> Option<Vec<Arc<Frame>>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = usize::try_from(cursor.0 - recent.gone.0).ok()?;
        Some(
            recent
                .frames
                .iter()
                .skip(skip)
                .take(limit)
                .cloned()
                .collect(),
        )
    }
}
