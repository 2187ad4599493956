use clap::Args;
use reqwest::Method;

use super::{Outcome, client::Client};
use crate::model::GrantedNow;

#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    /// Plugin, as the server calls it
    name: String,
}

pub(super) async fn run(client: &Client, args: &GrantArgs) -> anyhow::Result<Outcome> {
    let path = format!("/api/plugins/{}/grant", args.name);
    let nothing = serde_json::Map::new();
    let granted: GrantedNow = client.write(Method::POST, &path, &nothing).await?;
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
