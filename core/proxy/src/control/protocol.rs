//! What is said over the control socket: one JSON object a line.
//!
//! Both sides begin with a [`Hello`]. Then the client asks, and gets one
//! [`Reply`], or several to a drain. Fields that are not known are ignored, so
//! that either side may be the newer one.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    connection::Past,
    route::{Route, RouteStatus},
};

/// Counted up when an older peer could misunderstand.
pub const PROTOCOL: u32 = 1;

/// The oldest that is still spoken. The newer side decides, since only it knows
/// both.
pub const OLDEST_PROTOCOL: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    pub oldest_protocol: u32,
    /// Version of the program.
    pub program: String,
    pub pid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error(
        "the other side (version {program}, pid {pid}) is too old: it speaks protocol {theirs}, \
         this program ({}) {OLDEST_PROTOCOL} and later; {}",
        env!("CARGO_PKG_VERSION"), "upgrade it, or start it anew"
    )]
    TooOld {
        program: String,
        pid: u32,
        theirs: u32,
    },
    #[error(
        "the other side (version {program}, pid {pid}) is too new: it speaks protocol {theirs} \
         and later, this program ({}) {PROTOCOL}; {}",
        env!("CARGO_PKG_VERSION"), "upgrade this program"
    )]
    TooNew {
        program: String,
        pid: u32,
        theirs: u32,
    },
}

impl Hello {
    pub fn ours() -> Self {
        Self {
            protocol: PROTOCOL,
            oldest_protocol: OLDEST_PROTOCOL,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
        }
    }

    /// Whether the peer that said this can be talked to.
    pub fn check(self) -> Result<Self, Mismatch> {
        let Self { program, pid, .. } = self.clone();
        if self.protocol < OLDEST_PROTOCOL {
            let theirs = self.protocol;
            return Err(Mismatch::TooOld {
                program,
                pid,
                theirs,
            });
        }
        if self.oldest_protocol > PROTOCOL {
            let theirs = self.oldest_protocol;
            return Err(Mismatch::TooNew {
                program,
                pid,
                theirs,
            });
        }
        Ok(self)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Put(Route),
    Remove { listen: SocketAddr },
    Routes {},
    Drain(Drain),
    Stop(Stop),
    HandOver { deadline_ms: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    #[serde(flatten)]
    pub at: Destination,
    pub deadline_ms: u64,
}

/// Whether the process stops while it holds ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    IfUnused,
    Always,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done {},
    Routes(Vec<RouteStatus>),
    Draining {
        open: u64,
    },
    Drained(Drained),
    /// What is handed over follows.
    HandingOver {},
    Refused(Refusal),
}

/// Nobody talks to the upstream any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Connections that did not end by themselves before the deadline.
    pub cut: u64,
}

/// The process is there, and does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub reason: Reason,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    BadRoute,
    /// The port is held for another lane.
    OtherLane,
    /// The port cannot be listened to.
    Listen,
    /// The routes could not be written to disk; what was in force still is.
    Storage,
    /// The upstream is still the one that the route leads to.
    InUse,
    /// It holds routes.
    HoldsRoutes,
    /// Another process has taken over in this moment: ask again.
    HandedOver,
    /// The request was not understood.
    Request,
    /// One that this program does not know.
    #[serde(other)]
    Other,
}

impl Refusal {
    pub fn new(reason: Reason, message: impl ToString) -> Self {
        Self {
            reason,
            message: message.to_string(),
        }
    }
}

/// What the old process says to the one that takes over: first what it listens
/// with, each with a file descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handed {
    Lock {},
    Control {},
    Listener {
        listen: SocketAddr,
    },
    /// That was all; the new process is to say that it has taken over.
    All {},
}

/// What it says afterwards, for as long as it has connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// An idle connection, with its file descriptor.
    Client(Arrival),
    /// Connections that stay with the old process.
    Open(Lodging),
    /// All of those have been said once.
    Counted {},
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    pub listen: SocketAddr,
    pub past: Past,
    /// So many bytes follow the message as they are: what the client has said
    /// and nobody has heard.
    pub next_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lodging {
    #[serde(flatten)]
    pub at: Destination,
    pub open: u64,
}

/// An upstream behind a listen address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    pub listen: SocketAddr,
    pub upstream: SocketAddr,
}

/// What the new process says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taking {
    /// It listens: the old process may let go.
    Taken {},
    /// A drain has come to its deadline.
    Cut(Destination),
}
