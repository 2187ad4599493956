use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use clap::Args;

use super::{Outcome, client::Client, follow::follow};
use crate::model::Event;

#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Go on with new events until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Event types, comma-separated
    #[arg(long = "type", value_name = "TYPES")]
    types: Option<String>,
    #[arg(long)]
    project: Option<String>,
    #[arg(long)]
    stage: Option<String>,
    /// Container name
    #[arg(long)]
    instance: Option<String>,
    /// Number of a deploy; brings its log lines too
    #[arg(long)]
    deploy: Option<String>,
    /// Least severity: debug, info, warning, error, critical
    #[arg(long)]
    severity: Option<String>,
    /// Start after this event id
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// How many past events to show without --follow
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(serde::Deserialize)]
struct Page {
    items: Vec<Event>,
}

pub(super) async fn run(client: &Client, args: EventsArgs) -> anyhow::Result<Outcome> {
    if args.follow {
        let path = args.path(&[("after", args.after.clone())]);
        follow(client, &path, |event| {
            // Whoever reads may have had enough, as `head` has.
            match print(&event, args.json) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })
        .await?;
        return Ok(Outcome::Done);
    }
    let newest = args.after.is_none();
    let order = if newest { "desc" } else { "asc" };
    let page: Page = client
        .get(&args.path(&[
            ("after", args.after.clone()),
            ("order", Some(order.into())),
            ("limit", Some(args.limit.to_string())),
        ]))
        .await?;
    let mut events = page.items;
    events.sort_by_key(|event| event.id);
    let _ = events.iter().try_for_each(|event| print(event, args.json));
    Ok(Outcome::Done)
}

impl EventsArgs {
    fn path(&self, more: &[(&str, Option<String>)]) -> String {
        let filters = [
            ("type", &self.types),
            ("project", &self.project),
            ("stage", &self.stage),
            ("instance", &self.instance),
            ("deploy", &self.deploy),
            ("severity", &self.severity),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let all = filters
            .into_iter()
            .chain(more.iter().map(|(name, value)| (*name, value)));
        for (name, value) in all {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        format!("/api/events?{}", query.finish())
    }
}

fn print(event: &Event, as_json: bool) -> io::Result<()> {
    let mut out = io::stdout();
    let json = serde_json::to_value(event).unwrap_or_default();
    if as_json {
        return writeln!(out, "{json}");
    }
    let (kind, severity) = (event.payload.event_type().as_str(), event.severity.as_str());
    let payload = &json["payload"];
    let words = [
        "status", "state", "step", "reason", "change", "what", "message", "error", "line",
    ];
    let told: Vec<String> = words
        .iter()
        .filter_map(|word| payload[word].as_str().map(|text| format!("{word}={text}")))
        .collect();
    writeln!(
        out,
        "{} {:<7} {kind} {} {}",
        event.time,
        severity,
        event.subject,
        told.join(" ")
    )
}
