use serde::Deserialize;
use tiny_forge_plugin::Event;

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
    Some(Telling {
        emoji,
        headline: format!("{lane}{} {}", instance.name, happened(&instance)),
        details: vec![format!("Image {}", mrkdwn::code(&instance.image, 300))],
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
