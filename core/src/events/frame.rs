use std::ops::Range;

use bytes::Bytes;

use crate::model::{DeployId, Event, EventId, EventType, NewEvent, Position, Severity, Timestamp};

/// A committed event, serialised once: every subscriber is sent these bytes.
#[derive(Debug)]
pub struct Frame {
    parts: FrameParts,
    /// `id: …\ndata: …\n\n`
    sse: Bytes,
    /// Where the JSON is in `sse`.
    json: Range<usize>,
}

/// What filters match on.
#[derive(Debug, Clone)]
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

impl Frame {
    /// Gives a new event its id and its final form.
    pub fn seal(journal: &str, node: &str, id: EventId, event: NewEvent) -> Self {
        let NewEvent {
            time,
            subject,
            severity,
            actor,
            cause,
            payload,
        } = event;
        let parts = FrameParts {
            id,
            kind: payload.event_type(),
            severity,
            time,
            project: subject.project.as_ref().map(ToString::to_string),
            stage: subject.stage.as_ref().map(ToString::to_string),
            instance: subject.instance.clone(),
            deploy: subject.deploy,
        };
        let event = Event {
            id,
            payload,
            time,
            recorded: Timestamp::now(),
            node: node.to_owned(),
            subject: subject.to_string(),
            severity,
            actor,
            cause,
        };
        let json = serde_json::to_string(&event).expect("an event has only string keys");
        Self::from_journal(journal, parts, &json)
    }

    /// A frame as it was stored.
    pub fn from_journal(journal: &str, parts: FrameParts, json: &str) -> Self {
        let position = Position {
            journal: journal.to_owned(),
            id: parts.id,
        };
        let head = format!("id: {position}\ndata: ");
        let range = head.len()..head.len() + json.len();
        // JSON text holds no raw line ends, so one `data:` line is enough.
        Self {
            parts,
            sse: Bytes::from(format!("{head}{json}\n\n")),
            json: range,
        }
    }

    pub fn id(&self) -> EventId {
        self.parts.id
    }

    pub fn parts(&self) -> &FrameParts {
        &self.parts
    }

    /// The event's JSON.
    pub fn json(&self) -> &str {
        std::str::from_utf8(&self.sse[self.json.clone()]).expect("made from a string")
    }

    /// Ready to be sent to a subscriber of `text/event-stream`.
    pub fn sse(&self) -> Bytes {
        self.sse.clone()
    }

    /// Bytes that this frame holds in memory, about.
    pub fn weight(&self) -> usize {
        self.sse.len() + size_of::<Self>()
    }
}
