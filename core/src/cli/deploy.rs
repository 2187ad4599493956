use std::ops::ControlFlow;

use clap::Args;
use reqwest::Method;

use super::{Outcome, client::Client, follow::follow};
use crate::model::{
    Deploy, DeployStatus, DeployStatusPayload, Event, LogStream, Payload, ProjectName, StageName,
    StepStatus,
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
    /// Show steps and log until it ends; exit code 3 when it fails
    #[arg(long, short)]
    follow: bool,
}

pub(super) async fn run(client: &Client, args: DeployArgs) -> anyhow::Result<Outcome> {
    let mut body = serde_json::json!({ "stage": args.stage });
    if let Some(image) = args.image {
        body["image"] = image.into();
    }
    let path = format!("/api/projects/{}/deploys", args.project);
    let deploy: Deploy = client.write(Method::POST, &path, &body).await?;
    let id = deploy.summary.id;
    eprintln!(
        "deploy {id} of {}/{}: {}/deploys/{id}",
        args.project,
        args.stage,
        client.server()
    );
    if args.follow {
        follow_deploy(client, &deploy).await
    } else {
        Ok(Outcome::Done)
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
    if let Payload::DeployLog(log) = &event.payload {
        let mark = if log.stream == LogStream::System {
            "·"
        } else {
            " "
        };
        println!("{mark} {}", log.line);
    }
    if let Payload::DeployStatus(status) = &event.payload {
        print_status(status);
        if status.status.is_terminal() {
            return ControlFlow::Break(status.status);
        }
    }
    ControlFlow::Continue(())
}

fn print_status(status: &DeployStatusPayload) {
    let message = status.message.as_deref().unwrap_or_default();
    match (status.step, status.step_status) {
        (Some(step), Some(StepStatus::Running)) => println!("▸ {} {message}", step.as_str()),
        (Some(step), Some(StepStatus::Succeeded)) => {
            println!(
                "✓ {} {} ms {message}",
                step.as_str(),
                status.duration_ms.unwrap_or(0)
            );
        }
        (Some(step), Some(StepStatus::Failed)) => println!("✗ {} {message}", step.as_str()),
        _ => {}
    }
    if let Some(failure) = &status.failure {
        println!("✗ {}", failure.reason);
        failure
            .log_tail
            .iter()
            .for_each(|line| println!("  | {line}"));
    }
    if status.status.is_terminal() {
        println!("{} {message}", status.status.as_str());
    }
}
