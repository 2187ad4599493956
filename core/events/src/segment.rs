use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tiny_forge_model::{
    DeployId, Event, EventId, EventType, NewEvent, ProjectName, Severity, StageName, Timestamp,
};

use crate::chunks::{Chunks, ChunksBuilder, give_back_most};

/// Events in id order, serialised once, with what filters match on: everybody
/// who sends them sends these bytes.
#[derive(Debug)]
pub struct Segment {
    chunks: Chunks,
    entries: Vec<Entry>,
    names: String,
}

/// No heap of its own: thousands are made and freed each second.
#[derive(Debug)]
struct Entry {
    kind: EventType,
    severity: Severity,
    time: Timestamp,
    deploy: Option<DeployId>,
    /// Where these are in the names.
    project: Option<Span>,
    stage: Option<Span>,
    instance: Option<Span>,
    /// Where its JSON is in the bytes.
    json: Range<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Of a name, at the end of the others.
    fn of(name: Option<&str>, names: &mut String) -> Option<Self> {
        let name = name?;
        let end = |names: &String| u32::try_from(names.len()).expect("names are short");
        let start = end(names);
        names.push_str(name);
        Some(Self {
            start,
            end: end(names),
        })
    }
}

/// What filters match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameParts<'n> {
    pub id: EventId,
    pub kind: EventType,
    pub severity: Severity,
    pub time: Timestamp,
    pub project: Option<&'n str>,
    pub stage: Option<&'n str>,
    /// Container name.
    pub instance: Option<&'n str>,
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

    pub fn parts(&self, index: usize) -> FrameParts<'_> {
        self.entries[index].parts(self.chunks.id(index), &self.names)
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
        self.chunks.weight() + self.entries.len() * size_of::<Entry>() + self.names.len()
    }
}

impl Entry {
    fn parts<'n>(&self, id: EventId, names: &'n str) -> FrameParts<'n> {
        let name = |span: Option<Span>| span.map(|it| &names[it.start as usize..it.end as usize]);
        FrameParts {
            id,
            kind: self.kind,
            severity: self.severity,
            time: self.time,
            project: name(self.project),
            stage: name(self.stage),
            instance: name(self.instance),
            deploy: self.deploy,
        }
    }
}

impl Frame {
    pub fn id(&self) -> EventId {
        self.parts().id
    }

    pub fn parts(&self) -> FrameParts<'_> {
        self.segment.parts(self.index)
    }

    /// The event's JSON.
    pub fn json(&self) -> &str {
        let json = self.segment.entries[self.index].json.clone();
        std::str::from_utf8(&self.segment.chunks.bytes()[json]).expect("made from a string")
    }

    /// A copy in a segment of its own: who keeps few of many events keeps no others.
    pub fn alone(&self) -> Self {
        let chunks = self.segment.chunks.only(self.index);
        let entry = &self.segment.entries[self.index];
        let before = self.segment.chunks.chunk(self.index).start;
        let parts = self.parts();
        let mut names = String::new();
        let entry = Entry {
            kind: entry.kind,
            severity: entry.severity,
            time: entry.time,
            deploy: entry.deploy,
            project: Span::of(parts.project, &mut names),
            stage: Span::of(parts.stage, &mut names),
            instance: Span::of(parts.instance, &mut names),
            json: entry.json.start - before..entry.json.end - before,
        };
        let segment = Segment {
            chunks,
            entries: vec![entry],
            names,
        };
        Self {
            segment: Arc::new(segment),
            index: 0,
        }
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
    names: String,
}

/// How much there was in a segment, and so, most likely, will be in the next:
/// memory that is there from the beginning is never copied.
#[derive(Debug, Default, Clone, Copy)]
pub struct Room {
    frames: usize,
    pub bytes: usize,
    names: usize,
}

impl SegmentBuilder {
    pub fn new(journal: &str) -> Self {
        Self::in_place_of(journal, None, Room::default())
    }

    /// In the memory of a segment that nobody needs any more: memory that has to
    /// be asked of the system costs as much as writing to it.
    pub fn in_place_of(journal: &str, old: Option<Segment>, room: Room) -> Self {
        let (chunks, mut entries, mut names) = match old {
            Some(Segment {
                chunks,
                entries,
                names,
            }) => (Some(chunks), entries, names),
            None => Default::default(),
        };
        entries.clear();
        entries.reserve(room.frames);
        names.clear();
        names.reserve(room.names);
        let mut chunks = ChunksBuilder::in_place_of(journal, chunks);
        chunks.reserve(room.frames, room.bytes);
        Self {
            chunks,
            entries,
            names,
        }
    }

    /// What it has taken so far.
    pub fn room(&self) -> Room {
        Room {
            frames: self.entries.len(),
            bytes: self.chunks.bytes().len(),
            names: self.names.len(),
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
        let parts = FrameParts {
            id,
            kind: event.payload.event_type(),
            severity,
            time,
            project: subject.project.as_ref().map(ProjectName::as_str),
            stage: subject.stage.as_ref().map(StageName::as_str),
            instance: subject.instance.as_deref(),
            deploy: subject.deploy,
        };
        let before = self.len();
        let bytes = self.push(&parts, |bytes| {
            serde_json::to_writer(bytes, &event).expect("an event has only string keys");
        });
        if bytes > EVENT_BYTES_MAX {
            self.truncate(before);
            return Err(EventTooLarge { bytes });
        }
        Ok(())
    }

    /// An event as it was stored.
    pub fn push_stored(&mut self, parts: &FrameParts<'_>, json: &str) {
        self.push(parts, |bytes| bytes.extend_from_slice(json.as_bytes()));
    }

    /// Says how long the JSON is.
    fn push(&mut self, parts: &FrameParts<'_>, write_json: impl FnOnce(&mut Vec<u8>)) -> usize {
        let json = self.chunks.push(parts.id, write_json);
        let bytes = json.len();
        let entry = Entry {
            kind: parts.kind,
            severity: parts.severity,
            time: parts.time,
            deploy: parts.deploy,
            project: Span::of(parts.project, &mut self.names),
            stage: Span::of(parts.stage, &mut self.names),
            instance: Span::of(parts.instance, &mut self.names),
            json,
        };
        self.entries.push(entry);
        bytes
    }

    /// The last one's JSON, and what it matches on.
    pub fn last(&self) -> Option<(FrameParts<'_>, &str)> {
        let entry = self.entries.last()?;
        let parts = entry.parts(self.chunks.last()?, &self.names);
        let json = &self.chunks.bytes()[entry.json.clone()];
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
        let Self {
            chunks,
            mut entries,
            names,
        } = self;
        let chunks = chunks.seal()?;
        give_back_most(&mut entries);
        Some(Arc::new(Segment {
            chunks,
            entries,
            names,
        }))
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
        let alone = frames[1].alone();
        assert_eq!(alone.parts(), frames[1].parts());
        assert_eq!(
            (alone.json(), alone.sse()),
            (frames[1].json(), frames[1].sse())
        );
        let chunks = segment.chunks();
        assert_eq!(chunks.bytes(), &wire);
        assert_eq!(chunks.frame_at(chunks.chunk(1).start), 1);
        assert_eq!(chunks.first_after(EventId(1)), 1);
    }
}
