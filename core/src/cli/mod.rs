//! The command line. Each command is a file; all but `serve`, `backup`,
//! `restore`, `secret rotate-key`, `proxy` and most of `plugin` talk to a running server over its API.
//!
//! Exit codes: 0 done · 1 failed · 2 wrong usage · 3 the deploy failed, was
//! cancelled or was rolled back · 4 the server cannot be reached.

mod backup;
mod client;
mod demo;
mod deploy;
mod events;
mod follow;
mod openapi;
mod plugin;
mod plugin_build;
mod plugin_compile;
mod plugin_dry_run;
mod plugin_grant;
mod plugin_inspect;
mod plugin_list;
mod plugin_resume;
mod print;
mod proxy;
mod proxy_status;
mod restore;
mod rollback;
mod secret;
mod secret_list;
mod secret_rotate;
mod secret_set;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{ConfigError, ServeArgs, ServerArg};
pub use client::ClientError;

/// Deploys containers, watches them, and tells plugins and people.
#[derive(Debug, Parser)]
#[command(name = "tiny-forge", version, about, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    server: ServerArg,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<ServeArgs>),
    /// Deploy a project
    Deploy(deploy::DeployArgs),
    /// Go back to what an earlier deploy ran: image and configuration
    Rollback(rollback::RollbackArgs),
    /// Show events
    Events(events::EventsArgs),
    /// Hold published ports while containers behind them are replaced
    Proxy(proxy::ProxyArgs),
    /// Build and look at plugins
    Plugin(plugin::PluginArgs),
    /// Keep secrets for plugins, sealed on the server
    Secret(secret::SecretArgs),
    /// Copy the database into one file, also while a server runs
    Backup(backup::BackupArgs),
    /// Put a backup in the place of the database
    Restore(restore::RestoreArgs),
    /// Show what tiny-forge does: deploys an app made on the spot, twice
    Demo(demo::DemoArgs),
    /// Print the description of the API
    #[command(hide = true)]
    Openapi,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The deploy failed, was cancelled or was rolled back.
    DeployFailed,
}

impl Cli {
    /// Runs the command; errors are told on standard error.
    pub fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        let outcome = match runtime {
            Ok(runtime) => runtime.block_on(self.dispatch()),
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(Outcome::Done) => ExitCode::SUCCESS,
            Ok(Outcome::DeployFailed) => ExitCode::from(3),
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(exit_code(&error))
            }
        }
    }

    async fn dispatch(self) -> anyhow::Result<Outcome> {
        let client = || Ok::<_, ConfigError>(client::Client::new(self.server.url()?));
        match self.command {
            Command::Serve(args) => serve::run(&args).await,
            Command::Deploy(args) => deploy::run(&client()?, args).await,
            Command::Rollback(args) => rollback::run(&client()?, args).await,
            Command::Events(args) => events::run(&client()?, args).await,
            Command::Proxy(args) => proxy::run(args).await,
            Command::Plugin(args) => plugin::run(args, client).await,
            Command::Secret(args) => secret::run(args, client).await,
            Command::Backup(args) => backup::run(&args),
            Command::Restore(args) => restore::run(&args),
            Command::Demo(args) => demo::run(&client()?, args).await,
            Command::Openapi => openapi::run(),
        }
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() {
        return 2;
    }
    match error.downcast_ref() {
        Some(ClientError::Unreachable { .. }) => 4,
        Some(ClientError::Refused { .. } | ClientError::Broken(_)) | None => 1,
    }
}
