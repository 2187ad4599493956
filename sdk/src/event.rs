use std::cell::OnceCell;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::ser::{Error as _, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Severity;
use crate::bindings::common::tiny_forge::plugin::types;
use crate::bindings::filter::exports::tiny_forge::plugin::packed_filter::PackedEvent;

/// One fact from the journal.
///
/// Serialises to the JSON that `GET /api/events` shows, with `annotations`
/// besides and without `recorded`.
#[derive(Debug, Clone)]
pub struct Event {
    /// Position in the journal; only grows.
    pub id: u64,
    /// The event's `type`: `deploy_status`, `instance_status`, …. New types may
    /// appear: ignore what you do not know.
    pub kind: String,
    /// When it happened: UTC, RFC 3339 with milliseconds,
    /// e.g. `2026-03-27T22:30:25.123Z`.
    pub time: String,
    /// Stable id of the machine it happened on.
    pub node: String,
    /// What it is about: `shop/prod/deploys/17`, `shop/prod/instances/web-1`,
    /// `instances/db`, ….
    pub subject: String,
    pub severity: Severity,
    /// Who caused it, as kind and name: `user:alex`, `system:watcher`.
    pub actor: String,
    /// Id of the event that led to this one.
    pub cause: Option<u64>,
    payload: Json,
    annotations: Json,
}

impl Event {
    /// An event for a unit test: id 1, severity info, by `system:test`, at the
    /// start of 2026. Its public fields can be changed.
    pub fn new(kind: &str, subject: &str, payload: Value) -> Self {
        Self {
            id: 1,
            kind: kind.to_owned(),
            time: "2026-01-01T00:00:00.000Z".to_owned(),
            node: "n-test".to_owned(),
            subject: subject.to_owned(),
            severity: Severity::Info,
            actor: "system:test".to_owned(),
            cause: None,
            payload: Json::from(payload.to_string()),
            annotations: Json::from("{}".to_owned()),
        }
    }

    /// The payload as a type of yours. Name only the fields that you need, with
    /// `#[serde(default)]` where an event may lack them.
    ///
    /// # Errors
    /// Where the payload does not have the shape of `T`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_str(&self.payload.text).map_err(|error| PayloadError {
            kind: self.kind.clone(),
            error,
        })
    }

    /// The payload as JSON: an object whose shape depends on [`Event::kind`].
    pub fn payload_json(&self) -> &Value {
        self.payload.value()
    }

    /// What enrichers have added, as an object: plugin name → the object that it
    /// added. `event.annotations()["team"]["owner"]` is null where there is none.
    pub fn annotations(&self) -> &Value {
        self.annotations.value()
    }

    /// This event with an enricher's object besides, for unit tests.
    #[must_use]
    pub fn annotated(mut self, plugin: &str, object: Value) -> Self {
        let mut annotations = self.annotations().clone();
        annotations[plugin] = object;
        self.annotations = Json::from(annotations.to_string());
        self
    }

    /// The payload as the JSON text that it came as, to be read in a way of your own.
    pub fn payload_text(&self) -> &str {
        &self.payload.text
    }

    /// The annotations as JSON text.
    pub fn annotations_text(&self) -> &str {
        &self.annotations.text
    }

    /// The project it concerns, where it concerns one.
    pub fn project(&self) -> Option<&str> {
        let of_lane = self.lane().map(|(project, _)| project);
        of_lane.or_else(|| self.payload_json().get("project")?.as_str())
    }

    /// The stage it concerns, where it concerns one.
    pub fn stage(&self) -> Option<&str> {
        let of_lane = self.lane().map(|(_, stage)| stage);
        of_lane.or_else(|| self.payload_json().get("stage")?.as_str())
    }

    /// The name of the container that its subject names.
    pub fn instance(&self) -> Option<&str> {
        self.subject
            .rsplit_once("instances/")
            .map(|(_, instance)| instance)
    }

    /// What is of a deploy or an instance names its project and stage.
    fn lane(&self) -> Option<(&str, &str)> {
        let mut parts = self.subject.splitn(4, '/');
        let lane = (parts.next()?, parts.next()?);
        matches!(parts.next()?, "deploys" | "instances").then_some(lane)
    }
}

impl From<types::Event> for Event {
    fn from(event: types::Event) -> Self {
        Self {
            id: event.id,
            kind: event.type_,
            time: event.time,
            node: event.node,
            subject: event.subject,
            severity: event.severity.into(),
            actor: event.actor,
            cause: event.cause,
            payload: event.payload.into(),
            annotations: event.annotations.into(),
        }
    }
}

impl From<PackedEvent> for Event {
    fn from(event: PackedEvent) -> Self {
        let mut texts = event.texts;
        let (a, b, c, d, e, f) = event.ends;
        let annotations = texts.split_off(f as usize);
        let text = |from: u32, to: u32| texts[from as usize..to as usize].to_owned();
        Self {
            id: event.id,
            kind: text(0, a),
            time: text(a, b),
            node: text(b, c),
            subject: text(c, d),
            severity: event.severity.into(),
            actor: text(d, e),
            cause: event.cause,
            payload: {
                texts.drain(..e as usize);
                texts.into()
            },
            annotations: annotations.into(),
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, name) = self.actor.split_once(':').unwrap_or(("", &self.actor));
        let mut event = serializer.serialize_struct("Event", 10)?;
        event.serialize_field("id", &self.id)?;
        event.serialize_field("type", &self.kind)?;
        event.serialize_field("time", &self.time)?;
        event.serialize_field("node", &self.node)?;
        event.serialize_field("subject", &self.subject)?;
        event.serialize_field("severity", &self.severity)?;
        event.serialize_field("actor", &json!({ "kind": kind, "name": name }))?;
        match self.cause {
            Some(cause) => event.serialize_field("cause", &cause)?,
            None => event.skip_field("cause")?,
        }
        event.serialize_field("payload", self.payload.raw().map_err(S::Error::custom)?)?;
        event.serialize_field(
            "annotations",
            self.annotations.raw().map_err(S::Error::custom)?,
        )?;
        event.end()
    }
}

/// A payload that has not the shape that was asked for.
#[derive(Debug)]
pub struct PayloadError {
    kind: String,
    error: serde_json::Error,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "payload of `{}` is not as expected: {}",
            self.kind, self.error
        )
    }
}

impl std::error::Error for PayloadError {}

/// JSON text, parsed at most once, and only where somebody looks into it.
#[derive(Debug, Clone)]
struct Json {
    text: String,
    parsed: OnceCell<Value>,
}

impl Json {
    /// Null where the text is no JSON, which the contract rules out.
    fn value(&self) -> &Value {
        self.parsed
            .get_or_init(|| serde_json::from_str(&self.text).unwrap_or(Value::Null))
    }

    fn raw(&self) -> Result<&RawValue, serde_json::Error> {
        serde_json::from_str(&self.text)
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self {
            text,
            parsed: OnceCell::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::{Event, PackedEvent, types};

    #[derive(Debug, Deserialize)]
    struct Deploy {
        deploy_id: u64,
    }

    #[test]
    fn a_payload_is_read_as_a_type_and_says_what_does_not_fit() {
        let event = Event::new("deploy_status", "a/prod/deploys/3", json!({"deploy_id": 3}));
        assert_eq!(event.payload::<Deploy>().expect("fits").deploy_id, 3);

        let event = Event::new("system", "engine", json!({"what": "started"}));
        let error = event.payload::<Deploy>().expect_err("does not fit");
        assert!(
            error.to_string().contains("missing field `deploy_id`"),
            "{error}"
        );
    }

    #[test]
    fn project_stage_and_instance_come_from_payload_or_subject() {
        let lane = |event: &Event| {
            (
                event.project().map(str::to_owned),
                event.stage().map(str::to_owned),
                event.instance().map(str::to_owned),
            )
        };
        let some = |text: &str| Some(text.to_owned());

        let by_subject = Event::new("deploy_log", "shop/prod/instances/web-1", json!({}));
        assert_eq!(
            lane(&by_subject),
            (some("shop"), some("prod"), some("web-1"))
        );
        let by_payload = Event::new("project_status", "shop", json!({"project": "shop"}));
        assert_eq!(lane(&by_payload), (some("shop"), None, None));
        let foreign = Event::new("instance_status", "instances/db", json!({}));
        assert_eq!(lane(&foreign), (None, None, some("db")));
    }

    #[test]
    fn an_event_serialises_as_the_api_shows_it() {
        let mut event = Event::new("system", "engine", json!({"what": "started"}))
            .annotated("team", json!({"owner": "ops"}));
        event.actor = "user:alex".to_owned();
        event.cause = Some(7);
        assert_eq!(
            serde_json::to_value(&event).expect("serialises"),
            json!({
                "id": 1, "type": "system", "time": "2026-01-01T00:00:00.000Z", "node": "n-test",
                "subject": "engine", "severity": "info", "actor": {"kind": "user", "name": "alex"},
                "cause": 7, "payload": {"what": "started"}, "annotations": {"team": {"owner": "ops"}},
            })
        );
    }

    #[test]
    fn an_event_is_the_same_whether_its_texts_come_alone_or_together() {
        let texts = [
            "deploy_status",
            "2026-03-27T22:30:25.123Z",
            "n-größe",
            "",
            "user:アレックス",
            r#"{"image":"größe:1"}"#,
            r#"{"team":{"owner":"zoë"}}"#,
        ];
        let [kind, time, node, subject, actor, payload, annotations] = texts.map(str::to_owned);
        let alone = types::Event {
            id: 7,
            type_: kind,
            time,
            node,
            subject,
            severity: types::Severity::Error,
            actor,
            cause: Some(3),
            payload,
            annotations,
        };
        let mut end = 0;
        let ends = texts.map(|text| {
            end += text.len() as u32;
            end
        });
        let together = PackedEvent {
            id: 7,
            severity: types::Severity::Error,
            cause: Some(3),
            texts: texts.concat(),
            ends: (ends[0], ends[1], ends[2], ends[3], ends[4], ends[5]),
        };
        let text = |event: Event| serde_json::to_string(&event).expect("JSON");
        assert_eq!(text(together.into()), text(alone.into()));
    }
}
