use clap::{Args, Subcommand};

use super::{
    Outcome, client::Client, plugin_build, plugin_compile, plugin_dry_run, plugin_grant,
    plugin_inspect, plugin_list, plugin_resume,
};
use crate::config::ConfigError;

/// Build and look at plugins.
#[derive(Debug, Args)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Build a plugin crate into one .wasm
    Build(plugin_build::BuildArgs),
    /// Show what a .wasm is, what it asks for, and how to configure it
    Inspect(plugin_inspect::InspectArgs),
    /// Show the plugins of a running server, and what they lack
    List(plugin_list::ListArgs),
    /// Give a plugin what it asks for: addresses, and secrets of the server's own store
    Grant(plugin_grant::GrantArgs),
    /// Ask a quarantined plugin again at once
    Resume(plugin_resume::ResumeArgs),
    /// Try a plugin or a whole pipeline on past events, without sending anything
    DryRun(plugin_dry_run::DryRunArgs),
    /// The server's own compiler: a component on standard input, machine code on standard output
    #[command(hide = true)]
    Compile,
}

/// Most of them need no server: `client` is asked for by those that do.
pub(super) async fn run(
    args: PluginArgs,
    client: impl FnOnce() -> Result<Client, ConfigError>,
) -> anyhow::Result<Outcome> {
    match args.command {
        PluginCommand::Build(args) => plugin_build::run(args).await,
        PluginCommand::Inspect(args) => plugin_inspect::run(args).await,
        PluginCommand::List(args) => plugin_list::run(&client()?, &args).await,
        PluginCommand::Grant(args) => plugin_grant::run(&client()?, &args).await,
        PluginCommand::Resume(args) => plugin_resume::run(&client()?, &args).await,
        PluginCommand::DryRun(args) => plugin_dry_run::run(&client()?, &args).await,
        PluginCommand::Compile => plugin_compile::run().await,
    }
}
