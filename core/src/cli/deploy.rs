use std::ops::ControlFlow;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{
    Outcome,
    client::{Client, ClientError},
    follow::follow,
};
use crate::{
    api::NewDeploy,
    deploys::IfBusy,
    model::{
        Deploy, DeployPreview, DeployStatus, DeployStatusPayload, DeploySummary, Event, LogStream,
        Payload, ProjectName, PullProgress, SpecChange, StageName, StepName, StepStatus,
    },
};

#[derive(Debug, Args)]
pub(super) struct DeployArgs {
    /// Project to deploy
    project: ProjectName,
    /// Stage of the project
    #[arg(long, default_value = "prod")]
    stage: StageName,
    /// Image reference, instead of the project's own
    #[arg(long)]
    image: Option<String>,
    #[command(flatten)]
    busy: Busy,
    /// Say what it would do now, and do nothing
    #[arg(long, conflicts_with = "follow")]
    dry_run: bool,
    /// Show steps and log until it ends; exit code 3 when it fails
    #[arg(long, short)]
    follow: bool,
}

/// What a deploy does where another one of its stage has not ended.
#[derive(Debug, Args)]
pub(super) struct Busy {
    /// Where a deploy of the stage has not ended: wait, take its place, or be refused
    #[arg(long, value_enum, default_value_t)]
    pub(super) if_busy: IfBusy,
}

pub(super) async fn run(client: &Client, args: DeployArgs) -> anyhow::Result<Outcome> {
    let DeployArgs {
        project,
        stage,
        image,
        busy,
        dry_run,
        follow,
    } = args;
    let body = NewDeploy {
        stage,
        image,
        if_busy: busy.if_busy,
    };
    if dry_run {
        let path = format!("/api/projects/{project}/deploys?dry_run=true");
        let preview: DeployPreview = client.write(Method::POST, &path, &body).await?;
        print_preview(&preview);
        return Ok(Outcome::Done);
    }
    let deploy = start_deploy(client, &project, &body).await?;
    if follow {
        follow_deploy(client, &deploy).await
    } else {
        Ok(Outcome::Done)
    }
}

/// Queues a deploy, and says where to look at it.
pub(super) async fn start_deploy(
    client: &Client,
    project: &ProjectName,
    body: &NewDeploy,
) -> Result<Deploy, ClientError> {
    let path = format!("/api/projects/{project}/deploys");
    let deploy: Deploy = client.write(Method::POST, &path, body).await?;
    say_where(client, &deploy);
    Ok(deploy)
}

pub(super) fn say_where(client: &Client, deploy: &Deploy) {
    let DeploySummary {
        id, project, stage, ..
    } = &deploy.summary;
    eprintln!(
        "deploy {id} of {project}/{stage}: {}/deploys/{id}",
        client.server()
    );
}

fn print_preview(preview: &DeployPreview) {
    println!("{}", preview.plan.summary);
    let known = |digest: &Option<String>| digest.clone().unwrap_or_else(|| "unknown".to_owned());
    println!("image   {} ({})", preview.image, known(&preview.digest));
    if preview.serving_digest.is_some() {
        println!("serving {}", known(&preview.serving_digest));
    }
    let steps: Vec<&str> = preview.steps.iter().map(|step| step.as_str()).collect();
    println!("steps   {}", steps.join(" → "));
    for SpecChange {
        field,
        before,
        after,
        secret,
    } in &preview.changes
    {
        let shown = |value: &Option<Value>| match value {
            Some(value) => value.to_string(),
            None => "nothing".to_owned(),
        };
        match secret {
            true => println!("change  {field}: a secret"),
            false => println!("change  {field}: {} → {}", shown(before), shown(after)),
        }
    }
    for warning in &preview.plan.warnings {
        println!("warning {warning}");
    }
}

/// Prints steps and log lines until the deploy has ended.
pub(super) async fn follow_deploy(client: &Client, deploy: &Deploy) -> anyhow::Result<Outcome> {
    let id = deploy.summary.id;
    let ended = follow(client, &format!("/api/deploys/{id}/logs"), print).await?;
    let status = match ended {
        Some(status) => status,
        None => {
            client
                .get::<Deploy>(&format!("/api/deploys/{id}"))
                .await?
                .summary
                .status
        }
    };
    Ok(if status == DeployStatus::Succeeded {
        Outcome::Done
    } else {
        Outcome::DeployFailed
    })
}

fn print(event: Event) -> ControlFlow<DeployStatus> {
    match event.payload {
        Payload::DeployLog(log) => {
            let mark = if log.stream == LogStream::System {
                "·"
            } else {
                " "
            };
            println!("{mark} {}", log.line);
            ControlFlow::Continue(())
        }
        Payload::DeployStatus(status) => {
            print_status(&status);
            if status.status.is_terminal() {
                ControlFlow::Break(status.status)
            } else {
                ControlFlow::Continue(())
            }
        }
        _ => ControlFlow::Continue(()),
    }
}

fn print_status(status: &DeployStatusPayload) {
    if let Some(progress) = &status.progress {
        println!("  {}", progress_in_words(progress));
    } else if let Some((step, step_status)) = status.step.zip(status.step_status) {
        print_step(step, step_status, status);
    } else if status.status.is_terminal() {
        print_end(status);
    }
}

fn print_step(step: StepName, step_status: StepStatus, status: &DeployStatusPayload) {
    let (step, message) = (step.as_str(), status.message.as_deref().unwrap_or_default());
    let took = status.duration_ms.map_or_else(String::new, duration);
    match step_status {
        StepStatus::Running => println!("▸ {step}"),
        StepStatus::Succeeded => println!("✓ {step} {took} {message}"),
        // The reason follows with the end of the deploy.
        StepStatus::Failed => println!("✗ {step} {took}"),
        StepStatus::Pending | StepStatus::Skipped => {}
    }
}

fn print_end(status: &DeployStatusPayload) {
    let word = status.status.as_str();
    match &status.message {
        None => println!("✓ {word}"),
        Some(reason) => println!("✗ {word}: {reason}"),
    }
    let failure = status.failure.as_ref();
    if let Some(output) = failure.and_then(|failure| failure.health_output.as_deref()) {
        println!("  its health check says: {}", output.trim());
    }
}

fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}

fn progress_in_words(progress: &PullProgress) -> String {
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    format!(
        "{} of {} MiB in {} layers",
        megabytes(progress.current_bytes),
        megabytes(progress.total_bytes),
        progress.layers.len()
    )
}
