//! `tiny-forge-bench`: what tiny-forge weighs beside its peers and the limit of
//! the machine (`run`), and what it stands (`soak`).

mod cores;
mod http;
mod load;
mod message;
mod process;
mod publisher;
mod report;
mod rivals;
mod run;
mod servers;
mod soak;
mod target;

use std::time::Duration;

use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use cores::Cores;
use load::{Crowd, Span, Window};
use rivals::{Rival, Setup};

#[derive(Parser)]
#[command(about, version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything, one after the other; writes the report
    Run(Box<run::RunArgs>),
    /// Clients of every kind, and a server that is killed again and again
    Soak(soak::SoakArgs),
    /// One server under load, in a closed loop
    Load(LoadArgs),
    /// The limit of the machine, as a server
    Raw,
    /// What one writes without thinking about it, as a server
    Naive,
}

#[derive(clap::Args)]
struct LoadArgs {
    rival: Rival,
    #[command(flatten)]
    setup: Setup,
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Messages in flight
    #[arg(long, default_value_t = 1)]
    window: u64,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

fn main() -> anyhow::Result<()> {
    allow_sockets()?;
    match Cli::parse().command {
        Command::Run(args) => run::run(*args),
        Command::Soak(args) => soak::run(&args),
        Command::Load(args) => load(&args),
        Command::Raw => servers::raw::run(),
        Command::Naive => servers::naive::run(),
    }
}

/// As many as the system lets this program have: each subscriber needs one.
fn allow_sockets() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current, ..limit })?)
}

fn load(args: &LoadArgs) -> anyhow::Result<()> {
    let cores = Cores::find()?;
    cores.pin_generator()?;
    let server = args.rival.start(&args.setup, cores)?;
    let mut publisher = server.publisher()?;
    let mut crowd = Crowd::connect(server.http, server.path, args.subscribers)?;
    let span = Span {
        warm_up: Duration::from_millis(500),
        measured: Duration::from_secs_f64(args.seconds),
    };
    let process = Some(&server.process);
    let seen = load::closed_loop(
        &mut crowd,
        &mut publisher,
        process,
        Window(args.window),
        span,
    )?;
    println!(
        "{:.0} deliveries/s of {} bytes, {:.3} µs of CPU each; {}",
        seen.deliveries as f64 / seen.seconds,
        seen.bytes / seen.deliveries.max(1),
        seen.cpu_us(|_| true),
        crowd.tally.faults()
    );
    for thread in seen.cpu.keys() {
        println!("{thread:>16} {:.3} µs", seen.cpu_us(|name| name == thread));
    }
    Ok(())
}
