use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tiny_forge_model::{
    DeployId, Event, EventId, EventType, NewEvent, Severity, Subject, Timestamp,
};

/// Frames in id order, serialised once: everybody who sends them sends these
/// bytes. Each frame is an HTTP chunk of its own, so that any run of frames can
/// be written as it is, and any choice of them by one `writev`.
#[derive(Debug)]
pub struct Segment {
    bytes: Bytes,
    entries: Box<[Entry]>,
}

/// A frame's place in the bytes, and what filters match on.
#[derive(Debug)]
struct Entry {
    parts: FrameParts,
    json: Range<u32>,
    end: u32,
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

/// One frame of a segment. Cheap to clone; keeps its segment in memory.
#[derive(Debug, Clone)]
pub struct Frame {
    segment: Arc<Segment>,
    index: usize,
}

impl Segment {
    /// Frames, as many as there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Never true of a sealed one.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn last(&self) -> EventId {
        self.entries
            .last()
            .map_or(EventId(0), |entry| entry.parts.id)
    }

    /// Everything, as HTTP chunks.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn parts(&self, index: usize) -> &FrameParts {
        &self.entries[index].parts
    }

    /// Index of the first frame after `id`.
    pub fn first_after(&self, id: EventId) -> usize {
        self.entries.partition_point(|entry| entry.parts.id <= id)
    }

    /// Where the HTTP chunk of a frame is in [`Self::bytes`].
    pub fn chunk(&self, index: usize) -> Range<usize> {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.entries[before].end);
        start as usize..self.entries[index].end as usize
    }

    /// Which frame the byte at `offset` belongs to.
    pub fn frame_at(&self, offset: usize) -> usize {
        self.entries
            .partition_point(|entry| entry.end as usize <= offset)
    }

    /// The frames from `index` on.
    pub fn frames_from(self: &Arc<Self>, index: usize) -> impl Iterator<Item = Frame> {
        (index..self.len()).map(|index| Frame {
            segment: self.clone(),
            index,
        })
    }

    /// Bytes that it holds in memory, about.
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
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
        let json = &self.segment.entries[self.index].json;
        std::str::from_utf8(&self.segment.bytes[json.start as usize..json.end as usize])
            .expect("made from a string")
    }

    /// As `text/event-stream` has it: `id: …\ndata: …\n\n`.
    pub fn sse(&self) -> Bytes {
        let chunk = self.segment.chunk(self.index);
        let body = chunk.start + CHUNK_HEAD..chunk.end - CHUNK_END.len();
        self.segment.bytes.slice(body)
    }
}

/// One event's JSON; larger ones are refused.
pub const EVENT_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of {bytes} bytes is larger than the {EVENT_BYTES_MAX} allowed")]
pub struct EventTooLarge {
    pub bytes: usize,
}

/// `0000f\r\n`: always the same length, so that it can be filled in afterwards.
const CHUNK_HEAD: usize = CHUNK_DIGITS + 2;
const CHUNK_DIGITS: usize = 5;
const CHUNK_BYTES_MAX: usize = 1 << (4 * CHUNK_DIGITS);
const CHUNK_END: &[u8] = b"\r\n";

/// Collects the frames of one journal.
#[derive(Debug)]
pub struct SegmentBuilder {
    /// `id: <journal>-`
    head: String,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl SegmentBuilder {
    pub fn new(journal: &str) -> Self {
        Self {
            head: format!("id: {journal}-"),
            bytes: Vec::new(),
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

    /// A frame as it was stored.
    pub fn push_stored(&mut self, parts: FrameParts, json: &str) {
        let bytes = &mut self.bytes;
        let start = bytes.len();
        bytes.extend_from_slice(&[0; CHUNK_HEAD]);
        bytes.extend_from_slice(self.head.as_bytes());
        bytes.extend_from_slice(parts.id.to_string().as_bytes());
        bytes.extend_from_slice(b"\ndata: ");
        let json_start = position(bytes.len());
        // JSON text holds no raw line ends, so one `data:` line is enough.
        bytes.extend_from_slice(json.as_bytes());
        let json = json_start..position(bytes.len());
        bytes.extend_from_slice(b"\n\n");
        fill_in_head(bytes, start);
        bytes.extend_from_slice(CHUNK_END);
        let end = position(bytes.len());
        self.entries.push(Entry { parts, json, end });
    }

    /// The last one's JSON, and what it matches on.
    pub fn last(&self) -> Option<(&FrameParts, &str)> {
        let Entry { parts, json, .. } = self.entries.last()?;
        let json = &self.bytes[json.start as usize..json.end as usize];
        Some((
            parts,
            std::str::from_utf8(json).expect("made from a string"),
        ))
    }

    /// Takes back all but the first `len` frames.
    pub fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
        let end = self.entries.last().map_or(0, |entry| entry.end);
        self.bytes.truncate(end as usize);
    }

    /// `None` when nothing was pushed.
    pub fn seal(self) -> Option<Arc<Segment>> {
        (!self.entries.is_empty()).then(|| {
            Arc::new(Segment {
                bytes: self.bytes.into(),
                entries: self.entries.into(),
            })
        })
    }
}

/// Puts what is no frame of a segment into an HTTP chunk.
pub fn chunk(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; CHUNK_HEAD];
    bytes.extend_from_slice(text.as_bytes());
    fill_in_head(&mut bytes, 0);
    bytes.extend_from_slice(CHUNK_END);
    bytes
}

fn fill_in_head(bytes: &mut [u8], start: usize) {
    let length = bytes.len() - start - CHUNK_HEAD;
    assert!(length < CHUNK_BYTES_MAX, "an event is smaller than that");
    let head = format!("{length:0CHUNK_DIGITS$x}\r\n");
    bytes[start..start + CHUNK_HEAD].copy_from_slice(head.as_bytes());
}

fn position(offset: usize) -> u32 {
    u32::try_from(offset).expect("a commit holds less than 4 GiB")
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
        assert_eq!(segment.bytes(), &wire);
        assert_eq!(segment.frame_at(segment.chunk(1).start), 1);
        assert_eq!(segment.first_after(EventId(1)), 1);
    }
}
