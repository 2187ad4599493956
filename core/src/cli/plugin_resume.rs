use clap::Args;
use reqwest::Method;

use super::{Outcome, client::Client};
use crate::model::Plugin;

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// Plugin, as the server calls it
    name: String,
}

pub(super) async fn run(client: &Client, args: &ResumeArgs) -> anyhow::Result<Outcome> {
    let path = format!("/api/plugins/{}/resume", args.name);
    let nothing = serde_json::Map::new();
    let plugin: Plugin = client.write(Method::POST, &path, &nothing).await?;
    println!("{} is {}", plugin.name, plugin.state.as_str());
    Ok(Outcome::Done)
}
