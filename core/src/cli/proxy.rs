//! The data plane, as a process of its own. Deploys start and lead it by themselves;
//! all of it can be done by hand.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use tiny_forge_proxy::{Client, Ended, Route, RouteStatus, Start, Stop, serve};
use tokio::signal::unix::{SignalKind, signal};

use super::{Outcome, backup::megabytes};
use crate::{
    config::DataArg,
    routing::{CaddyHome, FOLDER, Launch, is_unit},
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
            status(&client(&data)?).await?;
            print_domains(&CaddyHome::new(&data.path()?)).await;
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

/// A server that ends leaves ports and domains as they are.
pub(super) async fn say_what_is_held(data: &Path) {
    let client = Client::new(&data.join(FOLDER));
    let Ok(routes) = client.routes().await else {
        return;
    };
    let held = routes.iter().filter(|it| it.route.is_some());
    let ports = held.map(|it| it.listen.to_string());
    let caddy = CaddyHome::new(data);
    let sites = if caddy.runs().await {
        caddy.sites()
    } else {
        BTreeMap::new()
    };
    let domains = sites.into_values().flatten().map(|site| site.domain);
    let held: Vec<String> = ports.chain(domains).collect();
    if !held.is_empty() {
        let held = held.join(", ");
        eprintln!("still held: {held}; `tiny-forge proxy stop --force` lets go of it");
    }
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
    if args.detached {
        rustix::process::setsid().context("it leads a session already")?;
    }
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

async fn status(client: &Client) -> anyhow::Result<()> {
    let hello = client.hello().await?;
    println!("version {}, process {}", hello.program, hello.pid);
    let routes = client.routes().await?;
    if routes.is_empty() {
        println!("it holds no port");
    }
    for route in &routes {
        print_route(route);
    }
    Ok(())
}

async fn print_domains(caddy: &CaddyHome) {
    let sites = caddy.sites();
    for (lane, site) in sites.iter().flat_map(|(lane, sites)| {
        let sites = sites.iter();
        sites.map(move |site| (lane, site))
    }) {
        println!("https://{} → 127.0.0.1:{} ({lane})", site.domain, site.port);
    }
    if !sites.is_empty() && !caddy.runs().await {
        println!("  Caddy, which serves them, does not run");
    }
}

fn print_route(status: &RouteStatus) {
    match &status.route {
        Some(Route { upstream, lane, .. }) => {
            println!("{} → {upstream} ({lane})", status.listen);
        }
        None => println!("{} → given up", status.listen),
    }
    if let Some(problem) = &status.problem {
        println!("  it does not listen: {problem}");
    }
    if status.waiting > 0 {
        println!("  {} wait: nobody listens there", status.waiting);
    }
    for upstream in &status.upstreams {
        println!(
            "  {}: {} open, {} idle; {} in, {} out",
            upstream.upstream,
            upstream.open,
            upstream.idle,
            megabytes(upstream.bytes_to_upstream),
            megabytes(upstream.bytes_to_client)
        );
    }
}
