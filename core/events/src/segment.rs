use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tiny_forge_model::{
    DeployId, Event, EventId, EventType, NewEvent, Severity, Subject, Timestamp,
};

use crate::chunks::{Chunks, ChunksBuilder};

/// Events in id order, serialised once, with what filters match on: everybody
/// who sends them sends these bytes.
#[derive(Debug)]
pub struct Segment {
    chunks: Chunks,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    parts: FrameParts,
    /// Where its JSON is in the bytes.
    json: Range<usize>,
}

/// What filters match on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameParts {
    pub id: EventId,
    pub kind: EventType,
    pub severity: Severity,
    pub time: Timestamp,
    pub project: Option<String>,
    pub stage: Option<String>,
    /// Container name.
    pub instance: Option<String>,
    pub deploy: Option<DeployId>,
}

/// One event of a segment. Cheap to clone; keeps its segment in memory.
#[derive(Debug, Clone)]
pub struct Frame {
    segment: Arc<Segment>,
    index: usize,
}

impl Segment {
    pub fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    pub fn parts(&self, index: usize) -> &FrameParts {
        &self.entries[index].parts
    }

    /// The frames from `index` on.
    pub fn frames_from(self: &Arc<Self>, index: usize) -> impl Iterator<Item = Frame> {
        (index..self.entries.len()).map(|index| Frame {
            segment: self.clone(),
            index,
        })
    }

    /// Bytes that it holds in memory, about.
    pub fn weight(&self) -> usize {
        self.chunks.weight() + self.entries.len() * size_of::<Entry>()
    }
}

impl Frame {
    pub fn id(&self) -> EventId {
        self.parts().id
    }

    pub fn parts(&self) -> &FrameParts {
        self.segment.parts(self.index)
    }

    /// The event's JSON.
    pub fn json(&self) -> &str {
        let json = self.segment.entries[self.index].json.clone();
        std::str::from_utf8(&self.segment.chunks.bytes()[json]).expect("made from a string")
    }

    /// As `text/event-stream` has it: `id: …\ndata: …\n\n`.
    pub fn sse(&self) -> Bytes {
        self.segment.chunks.sse(self.index)
    }
}

/// One event's JSON; larger ones are refused.
pub const EVENT_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of {bytes} bytes is larger than the {EVENT_BYTES_MAX} allowed")]
pub struct EventTooLarge {
    pub bytes: usize,
}

/// Collects the events of one journal.
#[derive(Debug)]
pub struct SegmentBuilder {
    chunks: ChunksBuilder,
    entries: Vec<Entry>,
}

impl SegmentBuilder {
    pub fn new(journal: &str) -> Self {
        Self {
            chunks: ChunksBuilder::new(journal),
            entries: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives a new event its id and its final form.
    pub fn push_new(
        &mut self,
        node: &str,
        id: EventId,
        event: NewEvent,
    ) -> Result<(), EventTooLarge> {
        let NewEvent {
            time,
            subject,
            severity,
            actor,
            cause,
            payload,
        } = event;
        let event = Event {
            id,
            time,
            recorded: Timestamp::now(),
            node: node.to_owned(),
            subject: subject.to_string(),
            severity,
            actor,
            cause,
            payload,
        };
        let kind = event.payload.event_type();
        let parts = parts_of(id, kind, severity, time, subject);
        let json = serde_json::to_string(&event).expect("an event has only string keys");
        if json.len() > EVENT_BYTES_MAX {
            return Err(EventTooLarge { bytes: json.len() });
        }
        self.push_stored(parts, &json);
        Ok(())
    }

    /// An event as it was stored.
    pub fn push_stored(&mut self, parts: FrameParts, json: &str) {
        let json = self.chunks.push(parts.id, json);
        self.entries.push(Entry { parts, json });
    }

    /// The last one's JSON, and what it matches on.
    pub fn last(&self) -> Option<(&FrameParts, &str)> {
        let Entry { parts, json } = self.entries.last()?;
        let json = &self.chunks.bytes()[json.clone()];
        Some((
            parts,
            std::str::from_utf8(json).expect("made from a string"),
        ))
    }

    /// Takes back all but the first `len` events.
    pub fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
        self.chunks.truncate(len);
    }

    /// `None` when nothing was pushed.
    pub fn seal(self) -> Option<Arc<Segment>> {
        let chunks = self.chunks.seal()?;
        Some(Arc::new(Segment {
            chunks,
            entries: self.entries,
        }))
    }
}

fn parts_of(
    id: EventId,
    kind: EventType,
    severity: Severity,
    time: Timestamp,
    subject: Subject,
) -> FrameParts {
    FrameParts {
        id,
        kind,
        severity,
        time,
        project: subject.project.map(|project| project.to_string()),
        stage: subject.stage.map(|stage| stage.to_string()),
        instance: subject.instance,
        deploy: subject.deploy,
    }
}

#[cfg(test)]
mod tests {
    use tiny_forge_model::{Actor, EventId, NewEvent, Payload, Severity, Subject, SystemPayload};

    use super::SegmentBuilder;

    fn note(message: &str) -> NewEvent {
        let payload = Payload::System(SystemPayload {
            what: "note".into(),
            message: message.into(),
        });
        NewEvent::new(
            Subject::other("test"),
            Severity::Info,
            Actor::system("test"),
            payload,
        )
    }

    #[test]
    fn each_frame_is_an_http_chunk_that_holds_an_sse_frame() {
        let mut builder = SegmentBuilder::new("j1");
        for id in 1..=3 {
            builder
                .push_new("n1", EventId(id), note(&"x".repeat(id as usize * 100)))
                .expect("small");
        }
        builder.truncate(2);
        let segment = builder.seal().expect("two frames");
        let frames: Vec<_> = segment.frames_from(0).collect();
        assert_eq!(frames.len(), 2);
        let mut wire = Vec::new();
        for frame in &frames {
            let sse = frame.sse();
            let expected = format!("id: j1-{}\ndata: {}\n\n", frame.id(), frame.json());
            assert_eq!(sse, expected);
            wire.extend(format!("{:05x}\r\n", sse.len()).into_bytes());
            wire.extend(&sse[..]);
            wire.extend(b"\r\n");
        }
        let chunks = segment.chunks();
        assert_eq!(chunks.bytes(), &wire);
        assert_eq!(chunks.frame_at(chunks.chunk(1).start), 1);
        assert_eq!(chunks.first_after(EventId(1)), 1);
    }
}
