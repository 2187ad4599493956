use clap::Args;
use reqwest::Method;

use super::{Outcome, client::Client};

#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    /// Plugin, as the server calls it
    name: String,
}

#[derive(serde::Deserialize)]
struct Granted {
    http: Vec<String>,
}

pub(super) async fn run(client: &Client, args: &GrantArgs) -> anyhow::Result<Outcome> {
    let path = format!("/api/plugins/{}/grant", args.name);
    let nothing = serde_json::Map::new();
    let granted: Granted = client.write(Method::POST, &path, &nothing).await?;
    for origin in granted.http {
        println!("{} may reach {origin}", args.name);
    }
    Ok(Outcome::Done)
}
