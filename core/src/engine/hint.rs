//! What the engine's events say of a container.

use std::collections::{BTreeMap, HashMap};

use bollard::models::EventMessage;

use super::convert;
use crate::model::{Instance, Timestamp};

/// What stands among the labels of a container in an event, and is none.
const NO_LABELS: [&str; 5] = ["exitCode", "execDuration", "image", "name", "signal"];

/// Something happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub id: String,
    /// In the engine's words, without a suffix: `start`, `die`, …
    pub action: String,
    pub time: Timestamp,
    pub exit_code: Option<i64>,
    pub signal: Option<String>,
    pub name: String,
    pub image: String,
    /// Without secrets.
    pub labels: BTreeMap<String, String>,
}

impl Hint {
    /// And its time in nanoseconds, by which the engine tells its events apart.
    pub(super) fn of(event: EventMessage) -> Option<(Self, i64)> {
        let actor = event.actor?;
        let mut attributes = actor.attributes.unwrap_or_default();
        let action = event.action?;
        // `health_status: healthy` carries its value in the action.
        let action = action.split(':').next().unwrap_or(&action).trim();
        let time_ns = event.time_nano?;
        let exit_code = attributes.get("exitCode");
        let hint = Self {
            id: actor.id?,
            action: action.to_owned(),
            time: Timestamp::from_unix_ms(time_ns / 1_000_000),
            exit_code: exit_code.and_then(|code| code.parse().ok()),
            signal: attributes.remove("signal"),
            name: attributes.remove("name").unwrap_or_default(),
            image: attributes.remove("image").unwrap_or_default(),
            labels: labels(attributes),
        };
        Some((hint, time_ns))
    }

    /// All that is known of a container which is gone.
    pub fn instance(&self) -> Instance {
        convert::of_hint(self)
    }
}

fn labels(attributes: HashMap<String, String>) -> BTreeMap<String, String> {
    let is_label = |(name, _): &(String, String)| !NO_LABELS.contains(&name.as_str());
    convert::without_secrets(attributes.into_iter().filter(is_label).collect())
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::{EventMessage, Hint, Timestamp};
    use crate::model::InstanceStatus;

    impl Hint {
        pub fn sample(action: &str, time_ms: i64) -> Self {
            Self {
                id: "c1".into(),
                action: action.into(),
                time: Timestamp::from_unix_ms(time_ms),
                exit_code: None,
                signal: None,
                name: "greedy".into(),
                image: "idle:1".into(),
                labels: [].into(),
            }
        }
    }

    #[test]
    fn the_end_of_a_container_that_is_gone_says_what_it_was_without_secrets() {
        let attributes = [
            ("name", "shop-prod-2-0"),
            ("image", "shop:2"),
            ("exitCode", "3"),
            ("execDuration", "12"),
            ("tiny-forge.project", "shop"),
            ("tiny-forge.stage", "prod"),
            ("tiny-forge.generation", "2"),
            ("com.example.token", "t0ken"),
        ];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let event = EventMessage {
            action: Some("die".into()),
            actor: Some(EventActor {
                id: Some("c1".into()),
                attributes: Some(attributes.into()),
            }),
            time_nano: Some(7_000_000_001),
            ..EventMessage::default()
        };
        let (hint, time_ns) = Hint::of(event).expect("a hint");
        assert_eq!((hint.exit_code, time_ns), (Some(3), 7_000_000_001));
        let instance = hint.instance();
        assert_eq!(instance.name, "shop-prod-2-0");
        assert_eq!(instance.image, "shop:2");
        assert_eq!(instance.status, InstanceStatus::Removed);
        assert_eq!((instance.managed, instance.generation), (true, Some(2)));
        let labels: Vec<&str> = instance.labels.keys().map(String::as_str).collect();
        assert_eq!(labels.len(), 4, "{labels:?}");
        assert_eq!(instance.labels["com.example.token"], "(redacted)");
    }
}
