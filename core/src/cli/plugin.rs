use clap::{Args, Subcommand};

use super::{Outcome, plugin_build, plugin_compile, plugin_inspect};

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
    /// The server's own compiler: a component on standard input, machine code on standard output
    #[command(hide = true)]
    Compile,
}

pub(super) async fn run(args: PluginArgs) -> anyhow::Result<Outcome> {
    match args.command {
        PluginCommand::Build(args) => plugin_build::run(args),
        PluginCommand::Inspect(args) => plugin_inspect::run(args).await,
        PluginCommand::Compile => plugin_compile::run().await,
    }
}
