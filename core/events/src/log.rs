use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tiny_forge_model::{EventId, Position};
use tokio::sync::watch;

use crate::{Frame, Segment, doorbell::Doorbell};

/// Kept in memory. Whoever is further behind reads on from the journal.
const FRAMES_MAX: usize = 16_384;
const BYTES_MAX: usize = 16 << 20;

/// The newest part of the journal, in memory, and the signal that it grew.
///
/// The mutex is held for a few copies of pointers only, never across an await.
pub struct Log {
    recent: Mutex<Recent>,
    head: watch::Sender<EventId>,
    /// Threads to be woken, besides those who watch the head.
    doorbells: Mutex<Vec<Arc<Doorbell>>>,
}

#[derive(Default)]
struct Recent {
    journal: String,
    /// Ids without a hole, oldest first.
    segments: VecDeque<Arc<Segment>>,
    frames: usize,
    bytes: usize,
    /// Everything up to this id has left, or never was in memory.
    gone: EventId,
}

impl Log {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            recent: Mutex::default(),
            head: watch::Sender::new(EventId(0)),
            doorbells: Mutex::default(),
        })
    }

    /// Where the journal stood when it was opened.
    pub fn start(&self, journal: &str, head: EventId) {
        *self.recent() = Recent {
            journal: journal.to_owned(),
            gone: head,
            ..Recent::default()
        };
        self.head.send_replace(head);
    }

    /// What has just been committed; in id order. The last that has left memory
    /// for it, if nobody reads it.
    pub fn append(&self, segment: Arc<Segment>) -> Option<Segment> {
        let head = segment.chunks().last();
        let gone = self.recent().push(segment);
        self.head.send_replace(head);
        // Last: whoever wakes looks at the head.
        for doorbell in self.doorbells().iter() {
            doorbell.ring();
        }
        gone.into_iter().filter_map(Arc::into_inner).last()
    }

    pub fn head(&self) -> Position {
        Position {
            journal: self.recent().journal.clone(),
            id: self.head_id(),
        }
    }

    pub fn head_id(&self) -> EventId {
        *self.head.borrow()
    }

    /// Wakes whenever the head moves.
    pub fn watch_head(&self) -> watch::Receiver<EventId> {
        self.head.subscribe()
    }

    /// Up to `limit` frames after `cursor`, or `None` where memory does not
    /// reach back that far.
    pub fn after(&self, cursor: EventId, limit: usize) -> Option<Vec<Frame>> {
        let mut frames = Vec::new();
        for segment in self.segments_after(cursor, limit)? {
            frames.extend(segment.frames_from(segment.chunks().first_after(cursor)));
        }
        frames.truncate(limit);
        Some(frames)
    }

    /// Segments with something after `cursor` (the first may begin before it),
    /// as many as hold `limit` frames, or `None` where memory does not reach
    /// back that far.
    pub fn segments_after(&self, cursor: EventId, limit: usize) -> Option<Vec<Arc<Segment>>> {
        let recent = self.recent();
        if cursor < recent.gone {
            return None;
        }
        let first = recent
            .segments
            .partition_point(|segment| segment.chunks().last() <= cursor);
        let mut frames = 0;
        let wanted = recent.segments.range(first..).take_while(|segment| {
            let before = frames;
            frames += segment.chunks().len();
            before < limit
        });
        Some(wanted.cloned().collect())
    }

    pub(crate) fn add_doorbell(&self, doorbell: Arc<Doorbell>) {
        self.doorbells().push(doorbell);
    }

    fn doorbells(&self) -> MutexGuard<'_, Vec<Arc<Doorbell>>> {
        self.doorbells
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    /// What has left for it.
    fn push(&mut self, segment: Arc<Segment>) -> Vec<Arc<Segment>> {
        let mut gone = Vec::new();
        self.frames += segment.chunks().len();
        self.bytes += segment.weight();
        self.segments.push_back(segment);
        // The newest stays, however large: it has yet to be sent.
        while self.segments.len() > 1 && (self.frames > FRAMES_MAX || self.bytes > BYTES_MAX) {
            let Some(oldest) = self.segments.pop_front() else {
                break;
            };
            self.frames -= oldest.chunks().len();
            self.bytes -= oldest.weight();
            self.gone = oldest.chunks().last();
            gone.push(oldest);
        }
        gone
    }
}
