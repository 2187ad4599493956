//! What is held, in words for people and other programs.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::control::protocol::Destination;

/// Connections to `listen` are forwarded to `upstream`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The published port, on one address or on all of a family
    /// (`0.0.0.0:80`, `[::]:80`; the latter takes no IPv4).
    pub listen: SocketAddr,
    /// The container's own address.
    pub upstream: SocketAddr,
    /// Whom the route serves: nobody else leads it elsewhere.
    pub lane: String,
    pub generation: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    #[error("listen address {0} has no port: name one from 1 to 65535")]
    NoListenPort(SocketAddr),
    #[error("upstream address {0} has no port: name the container's port")]
    NoUpstreamPort(SocketAddr),
    #[error("upstream address {0} is no address of a container: name the container's own address")]
    UnspecifiedUpstream(SocketAddr),
    #[error("{0} cannot be forwarded to itself: name the container's own address as upstream")]
    Loop(SocketAddr),
}

impl Route {
    pub fn check(&self) -> Result<(), BadRoute> {
        if self.listen.port() == 0 {
            return Err(BadRoute::NoListenPort(self.listen));
        }
        if self.upstream.port() == 0 {
            return Err(BadRoute::NoUpstreamPort(self.upstream));
        }
        if self.upstream.ip().is_unspecified() {
            return Err(BadRoute::UnspecifiedUpstream(self.upstream));
        }
        if self.upstream == self.listen {
            return Err(BadRoute::Loop(self.listen));
        }
        Ok(())
    }

    pub(crate) const fn destination(&self) -> Destination {
        Destination {
            listen: self.listen,
            upstream: self.upstream,
        }
    }
}

/// One listen address, and the connections that came by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStatus {
    pub listen: SocketAddr,
    /// `None` when the route was removed and connections of it are still open.
    pub route: Option<Route>,
    /// Why it does not listen at present; it is tried again all the time.
    pub problem: Option<String>,
    /// Connections of clients that wait between two requests, with no upstream
    /// since the last switch.
    pub parked: u64,
    /// Requests that wait for an upstream that refuses; for some seconds at most.
    #[serde(default)]
    pub waiting: u64,
    pub upstreams: Vec<UpstreamStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    pub upstream: SocketAddr,
    /// The route leads here; otherwise what is open is what is left.
    pub is_current: bool,
    /// Connections, the idle ones among them.
    pub open: u64,
    /// HTTP connections between two requests.
    pub idle: u64,
    pub bytes_to_upstream: u64,
    pub bytes_to_client: u64,
    /// When this process first led here, in milliseconds since 1970.
    pub since_unix_ms: u64,
}
