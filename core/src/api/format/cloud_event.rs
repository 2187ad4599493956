//! Events as CloudEvents 1.0, in the JSON event format.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::model::{Actor, ActorKind, EventId, EventType, Position, Severity, Timestamp};

pub const MEDIA_TYPE: &str = "application/cloudevents+json";
pub const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";

/// What the `type` of each starts with.
const TYPE_PREFIX: &str = "io.tiny-forge.";

/// An event as CloudEvents 1.0 has it. Attributes are flat, and extensions have
/// lower-case names; `cause` is the `id` of another event. With `format=cdevents`,
/// `type`, `subject` and `data` are those of CDEvents.
#[derive(Debug, Serialize, ToSchema)]
pub struct CloudEvent {
    /// Always `1.0`.
    #[schema(value_type = String)]
    pub specversion: &'static str,
    /// The event's position, `<journal>-<id>`; the same whenever it is sent.
    pub id: String,
    /// This machine: `/nodes/<node>`.
    pub source: String,
    /// `io.tiny-forge.` and the type of the event.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about, e.g. `shop/prod/deploys/17`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened.
    pub time: Timestamp,
    /// Always `application/json`.
    #[schema(value_type = String)]
    pub datacontenttype: &'static str,
    pub severity: Severity,
    /// When it was written to the journal.
    pub recorded: Timestamp,
    /// Name of who caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    pub actorkind: ActorKind,
    /// `id` of the event that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The payload, as in the plain form.
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
}

/// The plain form, as far as it has to be understood.
#[derive(Deserialize)]
struct Plain {
    id: EventId,
    #[serde(rename = "type")]
    kind: EventType,
    payload: Box<RawValue>,
    time: Timestamp,
    recorded: Timestamp,
    node: String,
    subject: String,
    severity: Severity,
    actor: Actor,
    cause: Option<EventId>,
}

impl CloudEvent {
    pub(super) fn is_of(&self, event_type: EventType) -> bool {
        self.kind.strip_prefix(TYPE_PREFIX) == Some(event_type.as_str())
    }

    /// From the JSON of an event of this journal.
    pub fn new(journal: &str, json: &str) -> serde_json::Result<Self> {
        let Plain {
            id,
            kind,
            payload,
            time,
            recorded,
            node,
            subject,
            severity,
            actor,
            cause,
        } = serde_json::from_str(json)?;
        let position = |id| {
            let journal = journal.to_owned();
            Position { journal, id }.to_string()
        };
        Ok(Self {
            specversion: "1.0",
            id: position(id),
            source: format!("/nodes/{node}"),
            kind: format!("{TYPE_PREFIX}{}", kind.as_str()),
            subject: attribute(&subject),
            time,
            datacontenttype: "application/json",
            severity,
            recorded,
            actor: attribute(&actor.name),
            actorkind: actor.kind,
            cause: cause.map(position),
            data: payload,
        })
    }
}

/// An attribute is not empty, and some characters must not be in it.
fn attribute(text: &str) -> Option<String> {
    let replaced = text.replace(is_forbidden, "\u{fffd}");
    (!replaced.is_empty()).then_some(replaced)
}

fn is_forbidden(char: char) -> bool {
    let is_noncharacter =
        matches!(char, '\u{fdd0}'..='\u{fdef}') || u32::from(char) & 0xfffe == 0xfffe;
    char.is_control() || is_noncharacter
}

#[cfg(test)]
mod tests {
    use super::attribute;

    #[test]
    fn an_attribute_that_the_standard_forbids_is_left_out_or_repaired() {
        assert_eq!(attribute(""), None);
        for bad in ["a\u{7}b", "a\u{9f}b", "a\u{fdd0}b", "a\u{1ffff}b"] {
            assert_eq!(attribute(bad), Some("a\u{fffd}b".to_owned()), "{bad:?}");
        }
        assert_eq!(attribute("plugins/größe"), Some("plugins/größe".to_owned()));
    }
}
