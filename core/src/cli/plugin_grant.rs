use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::{Outcome, client::Client};
use crate::model::{GrantedNow, Plugin};

#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    /// Plugin, as the server calls it
    name: String,
}

pub(super) async fn run(client: &Client, args: &GrantArgs) -> anyhow::Result<Outcome> {
    let path = format!("/api/plugins/{}", args.name);
    let plugin: Plugin = client.get(&path).await?;
    for line in &plugin.missing_grants {
        println!("{} asks for {line}", args.name);
    }
    // What has come to ask for something else since is granted nothing.
    let seen = json!({ "seen": plugin.missing_grants });
    let path = format!("{path}/grant");
    let granted: GrantedNow = client.write(Method::POST, &path, &seen).await?;
    for origin in granted.http {
        println!("{} may reach {origin}", args.name);
    }
    for secret in granted.secrets {
        println!("{} has secret {secret} from the sealed store", args.name);
    }
    for line in granted.left {
        println!("left to be added by hand: {line}");
    }
    Ok(Outcome::Done)
}
