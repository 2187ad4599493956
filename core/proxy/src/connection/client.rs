//! A client's side of a connection, which outlives its upstreams.

use std::future::poll_fn;

use tokio::net::TcpStream;

use super::{Newcomer, Past, pipe::Pipe};
use crate::http::Conversation;

#[derive(Debug)]
pub struct Client {
    pub stream: TcpStream,
    pub up: Pipe,
    pub down: Pipe,
    pub conversation: Conversation,
}

/// The client has left.
pub struct Gone;

impl Client {
    /// Without an upstream: all has been answered, so nobody waits for one to
    /// speak first.
    pub const fn awaits_request(&self) -> bool {
        !matches!(self.conversation, Conversation::Untouched)
    }

    pub async fn flush(&mut self) -> Result<(), Gone> {
        let flushed = poll_fn(|cx| self.down.poll_write(cx, &mut self.stream)).await;
        flushed.map_err(|_| Gone)
    }

    pub async fn read(&mut self) -> Result<(), Gone> {
        match poll_fn(|cx| self.up.poll_read(cx, &mut self.stream)).await {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(Gone),
        }
    }
}

impl From<Newcomer> for Client {
    fn from(newcomer: Newcomer) -> Self {
        Self {
            stream: newcomer.stream,
            up: Pipe::with(newcomer.next),
            down: Pipe::default(),
            conversation: match newcomer.past {
                Past::Untouched => Conversation::Untouched,
                Past::Idle => Conversation::between_exchanges(),
            },
        }
    }
}

impl From<Client> for Newcomer {
    fn from(client: Client) -> Self {
        Self {
            stream: client.stream,
            past: match client.conversation {
                Conversation::Untouched => Past::Untouched,
                Conversation::Http(_) | Conversation::Opaque => Past::Idle,
            },
            next: client.up.into_held(),
        }
    }
}
