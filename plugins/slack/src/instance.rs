use serde::Deserialize;
use tiny_forge_plugin::{Event, Value};

use crate::mrkdwn;
use crate::story::{Telling, emoji_of};

#[derive(Deserialize)]
struct Instance {
    name: String,
    image: String,
    project: Option<String>,
    stage: Option<String>,
    status: String,
    reason: String,
    exit_code: Option<i64>,
    #[serde(default)]
    log_tail: Vec<String>,
}

/// What a deploy does to instances it tells itself, and a crash loop is told once.
pub(crate) fn is_news(payload: &Value) -> bool {
    let goes_on_looping = payload["crash_loop_since"].is_string()
        && payload["reason"].as_str().is_some_and(belongs_to_a_loop);
    payload["planned"] != true && !goes_on_looping
}

fn belongs_to_a_loop(reason: &str) -> bool {
    [
        "unexpected_exit",
        "oom",
        "killed",
        "exited",
        "started",
        "restarted",
    ]
    .contains(&reason)
}

pub(crate) fn tell(event: &Event) -> Option<Telling> {
    let is_instance = event.kind == "instance_status";
    let instance: Instance = is_instance.then(|| event.payload().ok()).flatten()?;
    let emoji = match instance.reason.as_str() {
        "healthy" | "recovered" => "💚",
        _ => emoji_of(event.severity),
    };
    let lane = match (&instance.project, &instance.stage) {
        (Some(project), Some(stage)) => format!("{project}/{stage}: "),
        _ => String::new(),
    };
    let image = format!("Image {}", mrkdwn::code(&instance.image, 300));
    let said = mrkdwn::log_tail(&instance.log_tail);
    Some(Telling {
        emoji,
        headline: format!("{lane}{} {}", instance.name, happened(&instance)),
        details: [image].into_iter().chain(said).collect(),
        page: (
            format!("/events?instance={}", instance.name),
            instance.name.clone(),
        ),
    })
}

/// The reason as the rest of a sentence.
fn happened(instance: &Instance) -> String {
    let fixed = match instance.reason.as_str() {
        "created" => "was created",
        "started" => "has started",
        "stopped" => "was stopped",
        "exited" => "has ended",
        "oom" => "ran out of memory",
        "killed" => "was killed",
        "restarted" => "was restarted",
        "paused" => "is paused",
        "unpaused" => "goes on",
        "renamed" => "has a new name",
        "removed" => "was removed",
        "healthy" => "is healthy",
        "unhealthy" => "is unhealthy",
        "unexpected_exit" => match instance.exit_code {
            Some(code) => return format!("exited with code {code}"),
            None => "exited unexpectedly",
        },
        "recovered" => "has recovered",
        "crash_loop" => match instance.exit_code {
            Some(code) => return format!("is in a crash loop: it ends with code {code}"),
            None => "is in a crash loop",
        },
        "resync" => return format!("is {}", instance.status),
        other => return format!("is {} ({other})", instance.status),
    };
    fixed.to_owned()
}
