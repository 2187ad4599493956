use serde::Deserialize;
use tiny_forge_plugin::{Event, Value};

use crate::mrkdwn;
use crate::story::{Telling, emoji_of};

#[derive(Deserialize)]
struct Deploy {
    deploy_id: u64,
    project: String,
    stage: String,
    status: String,
    image: String,
    step: Option<String>,
    step_status: Option<String>,
    duration_ms: Option<u64>,
    message: Option<String>,
    failure: Option<Failure>,
    /// The ones before had not succeeded.
    #[serde(default)]
    recovered: bool,
}

#[derive(Deserialize)]
struct Failure {
    step: String,
    reason: String,
    exit_code: Option<i64>,
    #[serde(default)]
    oom: bool,
    health_output: Option<String>,
    #[serde(default)]
    log_tail: Vec<String>,
}

pub(crate) fn is_final(payload: &Value) -> bool {
    let status = payload["status"].as_str();
    matches!(
        status,
        Some("succeeded" | "failed" | "rolled_back" | "cancelled")
    )
}

pub(crate) fn tell(event: &Event) -> Option<Telling> {
    let is_deploy = event.kind == "deploy_status";
    let deploy: Deploy = is_deploy.then(|| event.payload().ok()).flatten()?;
    let emoji = match deploy.status.as_str() {
        "succeeded" if deploy.recovered => "💚",
        "succeeded" => "✅",
        "failed" | "rolled_back" => "❌",
        "cancelled" => "🚫",
        _ => emoji_of(event.severity),
    };
    Some(Telling {
        emoji,
        headline: headline(&deploy),
        details: details(&deploy),
        page: (
            format!("/deploys/{}", deploy.deploy_id),
            format!("Deploy {}", deploy.deploy_id),
        ),
    })
}

fn headline(deploy: &Deploy) -> String {
    let Deploy {
        project,
        stage,
        deploy_id,
        status,
        ..
    } = deploy;
    if deploy.recovered {
        return format!("{project}/{stage} is well again: deploy {deploy_id} {status}");
    }
    let subject = format!("{project}/{stage}: deploy {deploy_id}");
    match (&deploy.step, &deploy.step_status) {
        (Some(step), Some(step_status)) => match deploy.duration_ms {
            Some(ms) => format!("{subject}: {step} {step_status} after {}", seconds(ms)),
            None => format!("{subject}: {step} {step_status}"),
        },
        _ => format!("{subject} {}", status.replace('_', " ")),
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn details(deploy: &Deploy) -> Vec<String> {
    let mut details = vec![format!("Image {}", mrkdwn::code(&deploy.image, 300))];
    match &deploy.failure {
        Some(failure) => details.extend(details_of_failure(failure)),
        None => details.extend(
            deploy
                .message
                .iter()
                .map(|text| mrkdwn::escape(text, 1_000)),
        ),
    }
    details
}

fn details_of_failure(failure: &Failure) -> Vec<String> {
    let mut reason = mrkdwn::escape(&format!("{}: {}", failure.step, failure.reason), 800);
    if failure.oom {
        reason.push_str(" (out of memory)");
    } else if let Some(code) = failure.exit_code {
        reason.push_str(&format!(" (exit code {code})"));
    }
    let mut details = vec![reason];
    if let Some(output) = failure
        .health_output
        .as_deref()
        .filter(|text| !text.is_empty())
    {
        details.push(format!("Health check said {}", mrkdwn::code(output, 300)));
    }
    details.extend(mrkdwn::log_tail(&failure.log_tail));
    details
}
