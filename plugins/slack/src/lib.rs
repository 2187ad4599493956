//! A sink: posts events to a Slack channel by its incoming webhook. Mattermost and
//! others that take the same messages work too.

mod deploy;
mod instance;
mod message;
mod mrkdwn;
mod story;

use serde::Deserialize;
use tiny_forge_plugin::http::Request;
use tiny_forge_plugin::{Delivery, Description, Event, Outcome, Plugin, Sink};

use story::Story;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slack {
    #[serde(default = "default_url")]
    url: String,
    #[serde(default)]
    detail: Detail,
}

fn default_url() -> String {
    "https://hooks.slack.com/services/{secret:SLACK_PATH}".to_owned()
}

/// Which events are worth a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Detail {
    #[default]
    Outcomes,
    Everything,
}

impl Plugin for Slack {
    fn describe() -> Description {
        tiny_forge_plugin::description!().config_schema(include_str!("../config.schema.json"))
    }
}

impl Sink for Slack {
    fn deliver(&mut self, delivery: &Delivery) -> Outcome {
        let worth_telling = |event: &&Event| {
            delivery.test || self.detail == Detail::Everything || story::is_outcome(event)
        };
        let stories: Vec<Story> = delivery
            .events
            .iter()
            .filter(worth_telling)
            .map(|event| Story::of(event, delivery))
            .collect();
        if stories.is_empty() {
            return Outcome::Ok;
        }
        let message = message::compose(&stories, delivery.test);
        // Slack's own word for what was wrong is in the outcome's reason, and how
        // long it wants to be left alone in its delay.
        Request::post(&self.url).json(&message).send().into()
    }
}

tiny_forge_plugin::export_sink!(Slack);

#[cfg(test)]
mod tests;
