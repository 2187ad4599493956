use clap::Args;
use reqwest::Method;

use super::{
    Outcome,
    client::Client,
    deploy::{Busy, follow_deploy, say_where},
};
use crate::{
    api::NewRollback,
    model::{Deploy, DeployId, ProjectName, StageName},
};

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Project to roll back
    project: ProjectName,
    /// Stage of the project
    #[arg(long, default_value = "prod")]
    stage: StageName,
    /// Deploy to go back to; the one before the one that serves when absent
    #[arg(long, value_name = "DEPLOY")]
    to: Option<i64>,
    #[command(flatten)]
    busy: Busy,
    /// Show steps and log until it ends; exit code 3 when it fails
    #[arg(long, short)]
    follow: bool,
}

pub(super) async fn run(client: &Client, args: RollbackArgs) -> anyhow::Result<Outcome> {
    let body = NewRollback {
        stage: args.stage,
        to: args.to.map(DeployId),
        if_busy: args.busy.if_busy,
    };
    let path = format!("/api/projects/{}/rollback", args.project);
    let deploy: Deploy = client.write(Method::POST, &path, &body).await?;
    say_where(client, &deploy);
    if let Some(to) = deploy.summary.rolls_back_to {
        eprintln!("it brings back what deploy {to} ran; what the app has written stays as it is");
    }
    if args.follow {
        follow_deploy(client, &deploy).await
    } else {
        Ok(Outcome::Done)
    }
}
