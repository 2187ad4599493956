//! What one writes without thinking about it: axum's `Sse`, a broadcast channel
//! of tokio, and JSON made for each subscriber.

use std::convert::Infallible;

use anyhow::Context;
use axum::{
    Router,
    extract::State,
    response::sse::{self, Sse},
    routing::get,
};
use futures_util::{Stream, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::broadcast,
};
use tokio_stream::wrappers::BroadcastStream;

use super::Event;

/// A subscriber that is further behind loses messages.
const CHANNEL: usize = 4096;

#[derive(Clone)]
struct Numbered {
    id: u32,
    event: Event,
}

/// Serves until it is killed.
#[tokio::main]
pub async fn run() -> anyhow::Result<()> {
    let (sender, _) = broadcast::channel(CHANNEL);
    let http = TcpListener::bind("127.0.0.1:0").await?;
    let control = TcpListener::bind("127.0.0.1:0").await?;
    println!("http {}", http.local_addr()?);
    println!("control {}", control.local_addr()?);
    let router = Router::new()
        .route("/api/events", get(subscribe))
        .with_state(sender.clone());
    tokio::select! {
        served = async { axum::serve(http, router).await } => served?,
        published = publish(control, sender) => published?,
    }
    Ok(())
}

async fn subscribe(
    State(sender): State<broadcast::Sender<Numbered>>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let events = BroadcastStream::new(sender.subscribe());
    Sse::new(events.filter_map(async |received| {
        let Numbered { id, event } = received.ok()?;
        let frame = sse::Event::default().id(format!("j0123456789abcdef-{id}"));
        frame.json_data(&event).ok().map(Ok)
    }))
}

async fn publish(control: TcpListener, sender: broadcast::Sender<Numbered>) -> anyhow::Result<()> {
    let (stream, _) = control.accept().await?;
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::with_capacity(256 << 10, reader);
    let mut id = 0;
    loop {
        let count = reader
            .read_u32_le()
            .await
            .context("the publisher has left")?;
        for _ in 0..count {
            let mut text = vec![0; reader.read_u32_le().await? as usize];
            reader.read_u8().await?;
            reader.read_exact(&mut text).await?;
            id += 1;
            let event = Event::new(id, String::from_utf8(text)?);
            // An error says that nobody listens.
            let _ = sender.send(Numbered { id, event });
        }
        writer.write_all(&count.to_le_bytes()).await?;
    }
}
