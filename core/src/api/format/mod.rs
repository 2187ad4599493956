//! In which form events are answered, as `format=` or `Accept` asks for it.

mod choice;
mod cloud_event;
mod ndjson;

pub use choice::{Answer, PageFormat, choose, choose_for_one};
pub use cloud_event::{BATCH_MEDIA_TYPE, CloudEvent, MEDIA_TYPE};

use crate::events::{Control, Frame};

/// How the events of a stream are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Server-sent events that hold our own JSON.
    Plain,
    /// Server-sent events that hold CloudEvents 1.0.
    CloudEvents,
    /// Our own JSON, a line each; what the stream says of itself, too.
    Ndjson,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::Plain, Self::CloudEvents, Self::Ndjson];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::CloudEvents => "cloudevents",
            Self::Ndjson => "ndjson",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// Of a stream.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Plain | Self::CloudEvents => "text/event-stream",
            Self::Ndjson => ndjson::MEDIA_TYPE,
        }
    }

    /// Appends an event as a stream has it.
    pub fn write_event(
        self,
        journal: &str,
        frame: &Frame,
        out: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        match self {
            Self::Plain => out.extend_from_slice(&frame.sse()),
            Self::CloudEvents => {
                let event = CloudEvent::new(journal, frame.json())?;
                out.extend_from_slice(format!("id: {}\ndata: ", event.id).as_bytes());
                serde_json::to_writer(&mut *out, &event)?;
                out.extend_from_slice(b"\n\n");
            }
            Self::Ndjson => ndjson::write_event(journal, frame, out),
        }
        Ok(())
    }

    /// What a stream says about itself.
    pub fn control(self, control: &Control) -> String {
        match self {
            Self::Plain | Self::CloudEvents => control.sse(),
            Self::Ndjson => ndjson::control(control),
        }
    }
}
