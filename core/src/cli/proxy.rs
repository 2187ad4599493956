//! The data plane, as a process of its own. Deploys start and lead it by themselves;
//! all of it can be done by hand.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Args, Subcommand};
use tiny_forge_proxy::{Client, Ended, Route, Start, Stop, serve};
use tokio::signal::unix::{SignalKind, signal};

use super::{Outcome, proxy_status};
use crate::{
    config::DataArg,
    routing::{CaddyHome, FOLDER, Launch, become_caddy, is_unit},
};

/// For what cannot be handed over at an upgrade.
const UPGRADE_GRACE: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(super) struct ProxyArgs {
    #[command(subcommand)]
    command: ProxyCommand,
}

#[derive(Debug, Subcommand)]
enum ProxyCommand {
    /// Hold published ports and forward them, until it is stopped
    Run(RunArgs),
    /// Become the Caddy that serves domains
    #[command(hide = true)]
    Domains(DomainsArgs),
    /// Put this version in the place of the one that runs; nobody is refused meanwhile
    Upgrade(DataArg),
    /// Lead a port somewhere, from the next connection on
    Route(RouteArgs),
    /// Wait until nobody uses what a port led to before; cuts what is left in the end
    Drain(DrainArgs),
    /// Show what is held, and who uses it
    Status(DataArg),
    /// Give a port up; connections that are open stay
    Remove(RemoveArgs),
    /// Stop it; refused while it holds ports, unless forced
    Stop(StopArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    data: DataArg,
    /// Take the ports over from one that runs, without refusing anybody
    #[arg(long)]
    take_over: bool,
    /// In a session of its own: whatever ends the terminal or the server does not end it
    #[arg(long, hide = true)]
    detached: bool,
}

#[derive(Debug, Args)]
struct DomainsArgs {
    #[command(flatten)]
    data: DataArg,
    #[arg(long)]
    caddy: PathBuf,
    /// As for `run`
    #[arg(long)]
    detached: bool,
}

#[derive(Debug, Args)]
struct RouteArgs {
    /// Port on the host, e.g. 0.0.0.0:80
    listen: SocketAddr,
    /// Where it leads, e.g. 172.17.0.2:8080
    upstream: SocketAddr,
    /// Whom it serves: nobody else leads it elsewhere
    #[arg(long, default_value = "by hand")]
    lane: String,
    #[command(flatten)]
    data: DataArg,
}

#[derive(Debug, Args)]
struct DrainArgs {
    listen: SocketAddr,
    /// Where it led before
    upstream: SocketAddr,
    /// Seconds until what is left is cut
    #[arg(long, default_value_t = 60)]
    deadline: u64,
    #[command(flatten)]
    data: DataArg,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    listen: SocketAddr,
    #[command(flatten)]
    data: DataArg,
}

#[derive(Debug, Args)]
struct StopArgs {
    /// Also while it holds ports: they refuse connections then
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    data: DataArg,
}

/// Needs no server: that is what it is for.
pub(super) async fn run(args: ProxyArgs) -> anyhow::Result<Outcome> {
    match args.command {
        ProxyCommand::Run(args) => run_here(&args).await?,
        ProxyCommand::Domains(args) => domains(&args)?,
        ProxyCommand::Upgrade(data) => upgrade(&data).await?,
        ProxyCommand::Route(args) => {
            let route = Route {
                listen: args.listen,
                upstream: args.upstream,
                lane: args.lane,
                generation: 0,
            };
            client(&args.data)?.put(&route).await?;
            println!("{} leads to {}", route.listen, route.upstream);
        }
        ProxyCommand::Drain(args) => drain(&args).await?,
        ProxyCommand::Status(data) => {
            proxy_status::status(&client(&data)?, &CaddyHome::new(&data.path()?)).await?;
        }
        ProxyCommand::Remove(args) => client(&args.data)?.remove(args.listen).await?,
        ProxyCommand::Stop(args) => stop(&args).await?,
    }
    Ok(Outcome::Done)
}

fn folder(data: &DataArg) -> anyhow::Result<PathBuf> {
    Ok(data.path()?.join(FOLDER))
}

fn client(data: &DataArg) -> anyhow::Result<Client> {
    Ok(Client::new(&folder(data)?))
}

/// Domains lead to held ports, so they end with them.
async fn stop(args: &StopArgs) -> anyhow::Result<()> {
    let stop = if args.force {
        Stop::Always
    } else {
        Stop::IfUnused
    };
    let stopped = client(&args.data)?.stop(stop).await;
    if stopped.is_ok() || args.force {
        CaddyHome::new(&args.data.path()?).stop().await?;
    }
    Ok(stopped?)
}

async fn run_here(args: &RunArgs) -> anyhow::Result<()> {
    let folder = folder(&args.data)?;
    let start = if args.take_over {
        Start::TakeOver {
            deadline: UPGRADE_GRACE,
        }
    } else {
        Start::Alone
    };
    detach(args.detached)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stopped = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    eprintln!("the routes are kept in {}", folder.display());
    match serve(&folder, start, stopped).await? {
        Ended::Stopped => eprintln!("stopped"),
        Ended::HandedOver => eprintln!("another process holds the ports now"),
    }
    Ok(())
}

/// Returns only if it cannot.
fn domains(args: &DomainsArgs) -> anyhow::Result<()> {
    detach(args.detached)?;
    Err(become_caddy(&CaddyHome::new(&args.data.path()?), &args.caddy).into())
}

fn detach(is_wanted: bool) -> anyhow::Result<()> {
    if is_wanted {
        rustix::process::setsid().context("it leads a session already")?;
    }
    Ok(())
}

async fn upgrade(data: &DataArg) -> anyhow::Result<()> {
    let client = client(data)?;
    let before = client.hello().await?;
    let launch = Launch {
        program: std::env::current_exe()?,
        data: data.path()?,
        under_systemd: is_unit(before.pid),
    };
    launch.replace(&client).await?;
    let now = client.hello().await?;
    println!(
        "version {} has taken over from {}",
        now.program, before.program
    );
    Ok(())
}

async fn drain(args: &DrainArgs) -> anyhow::Result<()> {
    let deadline = Duration::from_secs(args.deadline);
    let told = |open| eprintln!("{open} connections are open");
    let client = client(&args.data)?;
    let drained = client.drain(args.listen, args.upstream, deadline, told);
    match drained.await?.cut {
        0 => println!("nobody uses {} any more", args.upstream),
        cut => println!("{cut} connections were cut"),
    }
    Ok(())
}
