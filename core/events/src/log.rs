use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tiny_forge_model::{EventId, Position};
use tokio::sync::watch;

use crate::{Frame, Segment, doorbell::Doorbell};

/// Kept in memory. Whoever is further behind reads on from the journal.
pub const FRAMES_MAX: usize = 16_384;
pub const BYTES_MAX: usize = 16 << 20;

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

    /// What was committed before the journal was opened, in id order: who comes back after
    /// a restart does not have to read it alone. Only what leads without a hole to what
    /// is in memory is taken.
    pub fn recall(&self, earlier: Vec<Arc<Segment>>) {
        let mut recent = self.recent();
        for segment in earlier.into_iter().rev() {
            if !recent.takes_back(&segment) {
                break;
            }
            recent.push_front(segment);
        }
    }

    /// Everything up to this id has left memory, or never was there.
    pub fn gone(&self) -> EventId {
        self.recent().gone
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
    fn takes_back(&self, segment: &Segment) -> bool {
        let chunks = segment.chunks();
        chunks.last() == self.gone
            && chunks.is_without_hole()
            && self.frames + chunks.len() <= FRAMES_MAX
            && self.bytes + segment.weight() <= BYTES_MAX
    }

    fn push_front(&mut self, segment: Arc<Segment>) {
        self.frames += segment.chunks().len();
        self.bytes += segment.weight();
        self.gone = EventId(segment.chunks().id(0).0 - 1);
        self.segments.push_front(segment);
    }

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tiny_forge_model::{EventId, EventType, Severity, Timestamp};

    use super::Log;
    use crate::{FrameParts, Segment, SegmentBuilder};

    fn segment(ids: impl IntoIterator<Item = i64>) -> Arc<Segment> {
        let mut builder = SegmentBuilder::new("j1");
        for id in ids {
            let parts = FrameParts {
                id: EventId(id),
                kind: EventType::System,
                severity: Severity::Info,
                time: Timestamp::from_unix_ms(id),
                project: None,
                stage: None,
                instance: None,
                deploy: None,
            };
            builder.push_stored(&parts, "{}");
        }
        builder.seal().expect("some frames")
    }

    fn after(log: &Log, cursor: i64) -> Option<Vec<i64>> {
        let frames = log.after(EventId(cursor), 100)?;
        Some(frames.iter().map(|frame| frame.id().0).collect())
    }

    #[test]
    fn what_was_before_is_taken_as_far_as_it_leads_to_what_is_there() {
        let log = Log::new();
        log.start("j1", EventId(9));
        log.append(segment([10, 11]));
        assert_eq!(after(&log, 8), None);
        // A hole, as retention makes them, ends it.
        log.recall(vec![
            segment([1, 2]),
            segment([3, 5]),
            segment([6, 7]),
            segment([8, 9]),
        ]);
        assert_eq!(after(&log, 4), None);
        assert_eq!(after(&log, 5), Some(vec![6, 7, 8, 9, 10, 11]));
        log.append(segment([12]));
        assert_eq!(after(&log, 9), Some(vec![10, 11, 12]));
    }

    #[test]
    fn what_leads_to_something_that_has_left_is_not_taken() {
        let log = Log::new();
        log.start("j1", EventId(9));
        for id in 10..30_000 {
            log.append(segment([id]));
        }
        log.recall(vec![segment([8, 9])]);
        assert_eq!(after(&log, 8), None);
        assert_eq!(after(&log, 29_998), Some(vec![29_999]));
    }
}
