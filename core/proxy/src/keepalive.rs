//! Finds peers that have vanished without a word.

use std::{os::fd::AsFd, time::Duration};

use rustix::net::sockopt;

/// Silence after which a peer is asked whether it is still there, how often,
/// and how many questions it may leave unanswered.
const IDLE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(15);
const QUESTIONS: u32 = 4;

/// A listener's connections inherit it.
pub fn set(socket: &impl AsFd) {
    let set = sockopt::set_socket_keepalive(socket, true)
        .and_then(|()| sockopt::set_tcp_keepidle(socket, IDLE))
        .and_then(|()| sockopt::set_tcp_keepintvl(socket, INTERVAL))
        .and_then(|()| sockopt::set_tcp_keepcnt(socket, QUESTIONS));
    if let Err(error) = set {
        tracing::debug!(%error, "a socket has the system's own keep-alive");
    }
}
