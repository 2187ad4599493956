use tiny_forge_plugin::{Delivery, Event, Severity, Value};

use crate::{deploy, instance, mrkdwn};

/// Of one enricher: a message has room for more than one.
const MAX_FACTS: usize = 12;
const MAX_FACT_CHARS: usize = 150;

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
        "instance_status" => instance::is_news(payload),
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
        .filter_map(|field| payload[*field].as_str())
        .find(|text| !text.trim().is_empty());
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

/// `commit_url` is not told beside `commit`, but is where that leads to.
fn facts(object: &Value) -> String {
    let Some(facts) = object.as_object() else {
        return String::new();
    };
    let is_address = |name: &str| {
        let of = name.strip_suffix("_url");
        of.is_some_and(|of| facts.contains_key(of))
    };
    let fact = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let address = facts.get(&format!("{name}_url")).and_then(Value::as_str);
        let text = match address.filter(|address| {
            address.starts_with("https://") && !address.contains(char::is_whitespace)
        }) {
            Some(address) => mrkdwn::link(address, &text),
            None => mrkdwn::escape(&text, MAX_FACT_CHARS),
        };
        format!("{}: {text}", mrkdwn::escape(name, 60))
    };
    let told = facts.iter().filter(|(name, _)| !is_address(name));
    let mut told: Vec<String> = told.map(fact).collect();
    if told.len() > MAX_FACTS {
        told.truncate(MAX_FACTS);
        told.push("…".to_owned());
    }
    told.join(", ")
}
