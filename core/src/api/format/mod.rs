//! In which form events are answered, as `format=` or `Accept` asks for it.

mod cd_event;
mod choice;
mod cloud_event;
mod ndjson;

pub use choice::{Answer, PageFormat, choose, choose_for_one};
pub use cloud_event::{BATCH_MEDIA_TYPE, CloudEvent, MEDIA_TYPE};

use crate::{
    events::{Control, Filter, Frame},
    model::{EventType, Severity},
};

/// How the events of a stream are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Server-sent events that hold our own JSON.
    Plain,
    /// Server-sent events that hold CloudEvents 1.0.
    CloudEvents,
    /// The same for deploys that have succeeded, in the words of CDEvents 0.5.
    CdEvents,
    /// Our own JSON, a line each; what the stream says of itself, too.
    Ndjson,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::Plain, Self::CloudEvents, Self::CdEvents, Self::Ndjson];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::CloudEvents => "cloudevents",
            Self::CdEvents => "cdevents",
            Self::Ndjson => "ndjson",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// Of a stream.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Plain | Self::CloudEvents | Self::CdEvents => "text/event-stream",
            Self::Ndjson => ndjson::MEDIA_TYPE,
        }
    }

    /// What this form has words for, of what is wanted.
    pub fn narrow(self, wanted: Filter) -> Filter {
        match self {
            Self::CdEvents => Filter {
                types: vec![EventType::DeployStatus],
                // Progress is less.
                min_severity: wanted.min_severity.max(Some(Severity::Info)),
                logs: Vec::new(),
                ..wanted
            },
            Self::Plain | Self::CloudEvents | Self::Ndjson => wanted,
        }
    }

    /// Bytes that an event takes in a stream, about.
    pub fn bytes_of(self, frame: &Frame) -> usize {
        match self {
            Self::Plain => frame.sse().len(),
            Self::CloudEvents => frame.sse().len() + 128,
            // Most are not sent.
            Self::CdEvents => 0,
            Self::Ndjson => frame.sse().len() + 2,
        }
    }

    /// Appends an event as a stream has it; nothing if this form has no word for it.
    pub fn write_event(
        self,
        journal: &str,
        frame: &Frame,
        out: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        match self {
            Self::Plain => out.extend_from_slice(&frame.sse()),
            Self::CloudEvents => write_sse(&CloudEvent::new(journal, frame.json())?, out)?,
            Self::CdEvents => {
                if let Some(event) = CloudEvent::new(journal, frame.json())?.into_cd_event()? {
                    write_sse(&event, out)?;
                }
            }
            Self::Ndjson => ndjson::write_event(journal, frame, out),
        }
        Ok(())
    }

    /// What a stream says about itself.
    pub fn control(self, control: &Control) -> String {
        match self {
            Self::Plain | Self::CloudEvents | Self::CdEvents => control.sse(),
            Self::Ndjson => ndjson::control(control),
        }
    }
}

fn write_sse(event: &CloudEvent, out: &mut Vec<u8>) -> serde_json::Result<()> {
    out.extend_from_slice(format!("id: {}\ndata: ", event.id).as_bytes());
    serde_json::to_writer(&mut *out, event)?;
    out.extend_from_slice(b"\n\n");
    Ok(())
}
