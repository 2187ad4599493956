//! One connection to the control socket, on the side of the process.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    protocol::{Destination, Drain, Drained, Reason, Refusal, Reply, Request},
    wire::{Wire, WireError, within},
};
use crate::upstream::Upstream;

/// A client that asks nothing for so long makes room for others.
const REQUEST_PATIENCE: Duration = Duration::from_secs(30);

/// How often a drain says how far it is, which also shows that it is alive.
const PROGRESS: Duration = Duration::from_millis(500);

/// Longer is as good as for ever.
pub const DEADLINE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Connections that are cut end as soon as their tasks have had a turn.
const CUT_PATIENCE: Duration = Duration::from_secs(5);

/// What a session wants of the process.
pub enum Command {
    Answer(Request, oneshot::Sender<Reply>),
    /// What is to be drained; `None` where nobody has led there.
    Leaving(
        Destination,
        oneshot::Sender<Result<Option<Arc<Upstream>>, Refusal>>,
    ),
    /// The session is over: the wire now belongs to whoever takes over.
    HandOver(Wire, Duration),
}

pub async fn run(stream: UnixStream, commands: mpsc::Sender<Command>) {
    match converse(Wire::new(stream), &commands).await {
        Ok(()) | Err(WireError::Closed) => {}
        Err(error) => tracing::warn!(%error, "a client of the control socket was dismissed"),
    }
}

async fn converse(mut wire: Wire, commands: &mpsc::Sender<Command>) -> Result<(), WireError> {
    wire.greet().await?;
    loop {
        match within(REQUEST_PATIENCE, wire.receive()).await {
            Ok(Request::HandOver { deadline_ms }) => {
                let deadline = Duration::from_millis(deadline_ms);
                // When nobody listens the process ends, and so does the wire.
                let _ = commands.send(Command::HandOver(wire, deadline)).await;
                return Ok(());
            }
            Ok(Request::Drain(request)) => {
                let reply = drain(&wire, commands, request).await?;
                wire.send(&reply).await?;
            }
            Ok(request) => {
                let (reply, answer) = oneshot::channel();
                let _ = commands.send(Command::Answer(request, reply)).await;
                let answer = answer.await.unwrap_or_else(|_| Reply::Refused(ended()));
                wire.send(&answer).await?;
            }
            Err(WireError::Malformed(error)) => {
                let message = format!(
                    "this proxy ({}) does not understand the request: {error}",
                    env!("CARGO_PKG_VERSION")
                );
                let refusal = Refusal::new(Reason::Request, message);
                wire.send(&Reply::Refused(refusal)).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits until nobody uses the upstream, or cuts them off; the last reply.
async fn drain(
    wire: &Wire,
    commands: &mpsc::Sender<Command>,
    Drain { at, deadline_ms }: Drain,
) -> Result<Reply, WireError> {
    let upstream = match look_up(commands, at).await {
        Ok(Some(upstream)) => upstream,
        Ok(None) => return Ok(Reply::Drained(Drained { cut: 0 })),
        Err(refusal) => return Ok(Reply::Refused(refusal)),
    };
    let deadline = Instant::now() + Duration::from_millis(deadline_ms).min(DEADLINE_MAX);
    let mut open = upstream.watch_open();
    while Instant::now() < deadline {
        let now = *open.borrow_and_update();
        if now == 0 {
            return Ok(Reply::Drained(Drained { cut: 0 }));
        }
        wire.send(&Reply::Draining { open: now }).await?;
        tokio::select! {
            _ = open.wait_for(|open| *open == 0) => {}
            () = sleep_until(deadline.min(Instant::now() + PROGRESS)) => {}
        }
        match look_up(commands, at).await {
            // The route leads there again.
            Err(refusal) if refusal.reason == Reason::InUse => {
                return Ok(Reply::Refused(refusal));
            }
            // A process that has handed over goes on with what it has begun.
            Ok(_) | Err(_) => {}
        }
    }
    let cut = upstream.cut();
    if timeout(CUT_PATIENCE, open.wait_for(|open| *open == 0))
        .await
        .is_err()
    {
        tracing::error!(upstream = %upstream.address, "connections that were cut are still open");
    }
    Ok(Reply::Drained(Drained { cut }))
}

async fn look_up(
    commands: &mpsc::Sender<Command>,
    at: Destination,
) -> Result<Option<Arc<Upstream>>, Refusal> {
    let (reply, answer) = oneshot::channel();
    let _ = commands.send(Command::Leaving(at, reply)).await;
    answer.await.unwrap_or_else(|_| Err(ended()))
}

fn ended() -> Refusal {
    Refusal::new(
        Reason::HandedOver,
        "this process ends: ask the one that follows",
    )
}
