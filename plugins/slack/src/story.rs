use tiny_forge_plugin::{Delivery, Event, Severity, Value};

use crate::{deploy, instance, mrkdwn};

/// What a message tells of one event.
pub(crate) struct Story {
    pub(crate) severity: Severity,
    pub(crate) emoji: &'static str,
    /// Plain text, one line.
    pub(crate) headline: String,
    /// Slack's markup, escaped; may be empty.
    pub(crate) details: Vec<String>,
    /// Slack's markup: when, and where to read on.
    pub(crate) footer: String,
}

/// The parts that depend on the event's type.
pub(crate) struct Telling {
    pub(crate) emoji: &'static str,
    pub(crate) headline: String,
    pub(crate) details: Vec<String>,
    /// Page of the dashboard to read on, and what the link is called.
    pub(crate) page: (String, String),
}

impl Story {
    pub(crate) fn of(event: &Event, delivery: &Delivery) -> Self {
        let Telling {
            emoji,
            headline,
            mut details,
            page: (page, label),
        } = deploy::tell(event)
            .or_else(|| instance::tell(event))
            .unwrap_or_else(|| tell(event));
        details.extend(annotations(event));
        let time = mrkdwn::escape(&event.time, 40);
        let footer = match delivery.link(&page) {
            Some(address) => format!("{} · {time}", mrkdwn::link(&address, &label)),
            None => time,
        };
        Self {
            severity: event.severity,
            emoji,
            headline,
            details,
            footer,
        }
    }
}

/// Whether an event is more than a step on the way to another.
pub(crate) fn is_outcome(event: &Event) -> bool {
    let payload = event.payload_json();
    match event.kind.as_str() {
        "deploy_log" => false,
        "deploy_status" => deploy::is_final(payload),
        "instance_status" => payload["planned"] != true,
        _ => true,
    }
}

pub(crate) fn emoji_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Debug => "⚪",
        Severity::Info => "🔵",
        Severity::Warning => "🟠",
        Severity::Error => "🔴",
        Severity::Critical => "🚨",
    }
}

/// Any other event, also of a type that is younger than this plugin.
fn tell(event: &Event) -> Telling {
    let payload = event.payload_json();
    let said = ["message", "line", "reason", "error"]
        .iter()
        .find_map(|field| payload[*field].as_str());
    let details = match said {
        Some(text) => vec![mrkdwn::escape(text, 1_000)],
        None => vec![mrkdwn::code_block(&payload.to_string(), 500)],
    };
    Telling {
        emoji: emoji_of(event.severity),
        headline: format!("{}: {}", event.subject, event.kind.replace('_', " ")),
        details,
        page: ("/events".to_owned(), "Events".to_owned()),
    }
}

/// What enrichers have added: one line for each.
fn annotations(event: &Event) -> Vec<String> {
    let Some(annotations) = event.annotations().as_object() else {
        return Vec::new();
    };
    annotations
        .iter()
        .map(|(plugin, object)| format!("*{}*  {}", mrkdwn::escape(plugin, 60), facts(object)))
        .collect()
}

fn facts(object: &Value) -> String {
    let fact = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    };
    let facts: Vec<String> = object.as_object().into_iter().flatten().map(fact).collect();
    mrkdwn::escape(&facts.join(", "), 300)
}
