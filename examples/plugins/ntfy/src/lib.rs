//! A sink: pushes each event to phones with ntfy (https://ntfy.sh).
//!
//! A plugin is a struct that is read from its configuration, one trait for its
//! role, and one line that exports it.

use serde::Deserialize;
use tiny_forge_plugin::http::Request;
use tiny_forge_plugin::{Delivery, Description, Outcome, Plugin, Severity, Sink, json, text};

/// The `config` table of the plugin's TOML.
#[derive(Deserialize)]
struct Ntfy {
    topic: String,
    #[serde(default = "ntfy_sh")]
    server: String,
}

fn ntfy_sh() -> String {
    "https://ntfy.sh".to_owned()
}

impl Plugin for Ntfy {
    /// What the operator sees. Asking for an origin grants nothing: the operator
    /// allows it in the plugin's TOML.
    fn describe() -> Description {
        tiny_forge_plugin::description!().config_schema(include_str!("../config.schema.json"))
    }
}

impl Sink for Ntfy {
    fn deliver(&mut self, delivery: &Delivery) -> Outcome {
        let lines: Vec<String> = delivery
            .events
            .iter()
            .map(|event| format!("{}: {}", event.subject, event.kind))
            .collect();
        let worst = delivery.events.iter().map(|event| event.severity).max();
        let message = json!({
            "topic": self.topic,
            "title": if delivery.test { "tiny-forge (test)" } else { "tiny-forge" },
            "message": text::shorten(&lines.join("\n"), 1000),
            "priority": if worst >= Some(Severity::Error) { 5 } else { 3 },
        });
        // 2xx is delivered; 429 and 5xx are tried again; anything else is final.
        Request::post(&self.server).json(&message).send().into()
    }
}

tiny_forge_plugin::export_sink!(Ntfy);

#[cfg(test)]
mod tests {
    use tiny_forge_plugin::http::Response;
    use tiny_forge_plugin::{Delivery, Event, Outcome, Severity, Sink, Value, json, testing};

    use super::Ntfy;

    #[test]
    fn an_error_is_pushed_with_the_highest_priority() {
        let mut ntfy: Ntfy = testing::configure(&json!({"topic": "deploys"})).expect("valid");
        let mut event = Event::new("deploy_status", "shop/prod/deploys/17", json!({}));
        event.severity = Severity::Error;

        testing::answer(Response::new(200));
        assert_eq!(ntfy.deliver(&Delivery::new(vec![event])), Outcome::Ok);

        let request = &testing::requests()[0];
        assert_eq!(request.url, "https://ntfy.sh");
        let body: Value = request.read_json().expect("sends JSON");
        assert_eq!(body["priority"], 5);
        assert_eq!(body["message"], "shop/prod/deploys/17: deploy_status");
    }
}
