//! The server, with a way to publish that the product does not have: what the
//! benchmark and the soak test measure. There is no engine.
//!
//! A client of the control address sends batches, and may send more before the
//! first is answered. Numbers are little-endian:
//!
//! ```text
//! batch    count: u32, then so many messages
//! message  length: u32, severity: u8 (0 debug … 4 critical), text: UTF-8
//! answer   count: u32, once the batch is on disk and fanned out
//! ```

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Parser;
use futures_util::{StreamExt, poll, stream::FuturesOrdered};
use tiny_forge::{
    app::App,
    config::{Config, ServeArgs},
    events::Bus,
    model::{Actor, NewEvent, Payload, Severity, Subject, SystemPayload},
    plugin_host::compile,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};

/// Batches of one client that wait for their commit; more are not read.
const BATCHES_MAX: usize = 1024;
const MESSAGES_MAX: u32 = 65_536;
const TEXT_BYTES_MAX: u32 = 32 << 10;

#[derive(Parser)]
struct Args {
    /// Where HTTP is served; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Where batches are taken.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    #[arg(long)]
    data: PathBuf,
}

fn main() -> anyhow::Result<()> {
    // The compiler of plugins starts this program as its child.
    if std::env::args().skip(1).eq(["plugin", "compile"]) {
        return Ok(compile::compile_in_this_process()?);
    }
    serve_until_told()
}

#[tokio::main]
async fn serve_until_told() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        // Faults of plugins are what some measurements provoke.
        .with_env_filter("warn,tiny_forge::plugin_host::plugin::status=error")
        .with_writer(io::stderr)
        .init();
    let args = Args::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let app = App::start(config(&args)?).await?;
    let control = TcpListener::bind(args.control)
        .await
        .with_context(|| format!("cannot listen on {}", args.control))?;
    println!("http {}", app.address());
    println!("control {}", control.local_addr()?);
    let bus = app.bus().clone();
    tokio::select! {
        served = serve(control, bus) => served?,
        _ = terminate.recv() => {}
    }
    app.shutdown().await;
    Ok(())
}

fn config(args: &Args) -> anyhow::Result<Config> {
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path in UTF-8");
    Ok(Config::load(&ServeArgs {
        listen: Some(args.listen.clone()),
        data: Some(text(&args.data)?),
        engine: Some("unix:///nonexistent/docker.sock".into()),
        ..ServeArgs::default()
    })?)
}

async fn serve(control: TcpListener, bus: Bus) -> io::Result<()> {
    let mut clients = JoinSet::new();
    loop {
        let (stream, _) = control.accept().await?;
        stream.set_nodelay(true)?;
        let bus = bus.clone();
        clients.spawn(async move {
            if let Err(error) = client(stream, bus).await {
                tracing::warn!(%error, "a client of the control address was lost");
            }
        });
        while clients.try_join_next().is_some() {}
    }
}

/// Reads batches while earlier ones are being committed.
async fn client(stream: TcpStream, bus: Bus) -> anyhow::Result<()> {
    let (reader, writer) = stream.into_split();
    let (batches, queue) = mpsc::channel(1);
    tokio::try_join!(read(reader, batches), publish(writer, queue, &bus))?;
    Ok(())
}

async fn read(stream: OwnedReadHalf, batches: mpsc::Sender<Vec<NewEvent>>) -> anyhow::Result<()> {
    let mut stream = BufReader::with_capacity(256 << 10, stream);
    while let Some(batch) = read_batch(&mut stream).await? {
        if batches.send(batch).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn publish(
    mut stream: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Vec<NewEvent>>,
    bus: &Bus,
) -> anyhow::Result<()> {
    let mut under_way = FuturesOrdered::new();
    let mut is_open = true;
    while is_open || !under_way.is_empty() {
        tokio::select! {
            batch = queue.recv(), if is_open && under_way.len() < BATCHES_MAX => {
                let Some(batch) = batch else {
                    is_open = false;
                    continue;
                };
                let count = u32::try_from(batch.len())?;
                let mut commit = Box::pin(bus.publish_all(batch));
                // Takes its place in the store's queue now: in the order of arrival.
                let done = poll!(&mut commit);
                under_way.push_back(async move {
                    match done {
                        std::task::Poll::Ready(done) => done?,
                        std::task::Poll::Pending => commit.await?,
                    }
                    anyhow::Ok(count)
                });
            }
            Some(count) = under_way.next() => stream.write_all(&count?.to_le_bytes()).await?,
        }
    }
    Ok(())
}

/// `None` when the client has left between two batches.
async fn read_batch(
    stream: &mut BufReader<OwnedReadHalf>,
) -> anyhow::Result<Option<Vec<NewEvent>>> {
    let count = match stream.read_u32_le().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        count => count?,
    };
    anyhow::ensure!(count <= MESSAGES_MAX, "a batch of {count} messages");
    let mut events = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let length = stream.read_u32_le().await?;
        anyhow::ensure!(length <= TEXT_BYTES_MAX, "a text of {length} bytes");
        let severity = usize::from(stream.read_u8().await?);
        let severity = Severity::ALL.get(severity).context("a severity")?;
        let mut text = vec![0; length as usize];
        stream.read_exact(&mut text).await?;
        events.push(event(*severity, String::from_utf8(text)?));
    }
    Ok(Some(events))
}

fn event(severity: Severity, message: String) -> NewEvent {
    let payload = Payload::System(SystemPayload {
        what: "bench".into(),
        message,
    });
    NewEvent::new(
        Subject::other("bench"),
        severity,
        Actor::system("bench"),
        payload,
    )
}
