//! One connection of a client, from the moment it is accepted.
//!
//! It has one upstream at a time. When its route leads elsewhere and nothing is
//! under way, it is parked: the upstream is left at once, and the client's next
//! request goes to wherever the route leads by then.

mod client;
mod pipe;
mod reach;
mod relay;

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

use crate::switch::Switch;
use client::{Client, Gone};
use reach::{Reached, reach};
use relay::{Outcome, Relay};

/// So long a client may go on sending after the end: to close at once would
/// destroy what it has not read yet.
const LINGER: Duration = Duration::from_secs(2);

/// A client that has come: just accepted, or from another process.
#[derive(Debug)]
pub struct Newcomer {
    pub stream: TcpStream,
    pub past: Past,
    /// What it has said and nobody has heard.
    pub next: Vec<u8>,
}

/// What is known of a client that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Past {
    /// It may be waiting for the upstream to speak first.
    Untouched,
    /// It has exchanged requests and responses, and none is under way.
    Idle,
}

/// A client on its way to another process.
#[derive(Debug)]
pub struct Emigrant {
    pub listen: SocketAddr,
    pub newcomer: Newcomer,
}

impl Newcomer {
    pub const fn accepted(stream: TcpStream) -> Self {
        Self {
            stream,
            past: Past::Untouched,
            next: Vec::new(),
        }
    }
}

pub async fn run(newcomer: Newcomer, switch: &Switch) {
    if let Err(error) = newcomer.stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets to a client may be late");
    }
    let mut client = Client::from(newcomer);
    loop {
        if client.awaits_request() && park(&mut client, switch).await.is_err() {
            return;
        }
        let (upstream, place) = match reach(switch).await {
            Reached::Upstream(upstream, place) => (upstream, place),
            Reached::Nowhere => return finish(client.stream).await,
            Reached::Successor(successor) => return emigrate(client, switch, successor).await,
            Reached::Nobody => return,
        };
        match Relay::new(&mut client, upstream, place, switch).run().await {
            Outcome::Over => return finish(client.stream).await,
            Outcome::Moved => client.down.reopen(),
            Outcome::Broken => return,
        }
    }
}

/// Waits for the client's next request, for as long as there is an upstream
/// that could answer it.
async fn park(client: &mut Client, switch: &Switch) -> Result<(), Gone> {
    let _parked = switch.park();
    client.flush().await?;
    let mut target = switch.watch();
    while client.up.is_empty() && target.borrow_and_update().is_upstream() {
        tokio::select! {
            read = client.read() => read?,
            Ok(()) = target.changed() => {}
        }
    }
    Ok(())
}

/// Ends a connection on which all has been said.
async fn finish(mut client: TcpStream) {
    if client.shutdown().await.is_err() {
        return;
    }
    let mut scratch = vec![0; 4 << 10];
    let until_end = async { while matches!(client.read(&mut scratch).await, Ok(1..)) {} };
    // A client that does not heed the end is left.
    let _ = timeout(LINGER, until_end).await;
}

async fn emigrate(client: Client, switch: &Switch, successor: mpsc::Sender<Emigrant>) {
    let listen = switch.listen;
    let newcomer = client.into();
    if successor.send(Emigrant { listen, newcomer }).await.is_err() {
        tracing::debug!(%listen, "an idle connection ends with this process");
    }
}
