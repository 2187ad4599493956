use clap::{Args, Subcommand};

use super::{Outcome, client::Client, secret_list, secret_rotate, secret_set};
use crate::config::ConfigError;

/// Keep secrets for plugins, sealed on the server.
#[derive(Debug, Args)]
pub(super) struct SecretArgs {
    #[command(subcommand)]
    command: SecretCommand,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Set a secret, or give it another value: read from standard input, or asked for
    Set(secret_set::SetArgs),
    /// Show which secrets there are and who uses them; never a value
    List(secret_list::ListArgs),
    /// Remove a secret that no plugin uses
    Remove(RemoveArgs),
    /// Seal all secrets with a new key, while no server runs
    RotateKey(secret_rotate::RotateArgs),
}

#[derive(Debug, Args)]
struct RemoveArgs {
    name: String,
}

/// All but the last talk to a server.
pub(super) async fn run(
    args: SecretArgs,
    client: impl FnOnce() -> Result<Client, ConfigError>,
) -> anyhow::Result<Outcome> {
    match args.command {
        SecretCommand::Set(args) => secret_set::run(&client()?, &args).await,
        SecretCommand::List(args) => secret_list::run(&client()?, &args).await,
        SecretCommand::Remove(args) => remove(&client()?, &args.name).await,
        SecretCommand::RotateKey(args) => secret_rotate::run(&args),
    }
}

async fn remove(client: &Client, name: &str) -> anyhow::Result<Outcome> {
    client.delete(&format!("/api/secrets/{name}")).await?;
    println!("secret `{name}` is removed");
    Ok(Outcome::Done)
}
