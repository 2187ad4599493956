//! Asks the running process.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::net::UnixStream;

use super::{
    protocol::{Destination, Drain, Drained, Hello, Reason, Refusal, Reply, Request, Stop},
    wire::{Wire, WireError, within},
};
use crate::{
    home::Home,
    route::{Route, RouteStatus},
};

/// For an answer: a disk may be slow to sync.
const PATIENCE: Duration = Duration::from_secs(20);

/// While another process takes over, a request may meet the old one.
const ATTEMPTS_MAX: usize = 3;

/// The way to the process that holds the ports. Each request is a connection of
/// its own, so that it does not matter when that process is replaced.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no proxy runs here ({} does not answer): start `tiny-forge proxy`", .0.display())]
    NotRunning(PathBuf),
    #[error("{} cannot be used: {}", .0.display(), .1)]
    Unreachable(PathBuf, io::Error),
    #[error("the proxy: {0}")]
    Wire(WireError),
    #[error("the proxy refuses: {0}")]
    Refused(Refusal),
    #[error("the proxy gave an answer that does not belong to the question")]
    Confused,
}

// Their words are in ours: they are no sources, which would be told a second time.
impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Client {
    /// For the process that serves `dir`.
    pub fn new(dir: &Path) -> Self {
        Self {
            socket: Home::socket_in(dir),
        }
    }

    /// Who runs.
    pub async fn hello(&self) -> Result<Hello, ClientError> {
        let (_, hello) = self.connect().await?;
        Ok(hello)
    }

    /// Holds the route's port if nobody does yet, and leads new connections to
    /// its upstream. Durable and in force when this returns; the same again
    /// changes nothing.
    pub async fn put(&self, route: &Route) -> Result<(), ClientError> {
        self.order(&Request::Put(route.clone())).await
    }

    /// Lets go of the port. Connections under way go on; one that is not held
    /// is no error.
    pub async fn remove(&self, listen: SocketAddr) -> Result<(), ClientError> {
        self.order(&Request::Remove { listen }).await
    }

    /// All that is held, by address.
    pub async fn routes(&self) -> Result<Vec<RouteStatus>, ClientError> {
        match self.ask(&Request::Routes {}).await?.1 {
            Reply::Routes(routes) => Ok(routes),
            _ => Err(ClientError::Confused),
        }
    }

    /// Waits until no connection leads to `upstream` any more, and tells
    /// `progress` how many still do. What is left after `deadline` is cut.
    pub async fn drain(
        &self,
        listen: SocketAddr,
        upstream: SocketAddr,
        deadline: Duration,
        mut progress: impl FnMut(u64),
    ) -> Result<Drained, ClientError> {
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let at = Destination { listen, upstream };
        let request = Request::Drain(Drain { at, deadline_ms });
        let (mut wire, mut reply) = self.ask(&request).await?;
        loop {
            match reply {
                Reply::Draining { open } => progress(open),
                Reply::Drained(drained) => return Ok(drained),
                Reply::Refused(refusal) => return Err(refusal.into()),
                _ => return Err(ClientError::Confused),
            }
            reply = within(PATIENCE, wire.receive()).await?;
        }
    }

    /// Ends the process: it lets go of all ports, connections under way get a
    /// moment. The routes stay on disk.
    pub async fn stop(&self, stop: Stop) -> Result<(), ClientError> {
        self.order(&Request::Stop(stop)).await
    }

    async fn order(&self, request: &Request) -> Result<(), ClientError> {
        match self.ask(request).await?.1 {
            Reply::Done {} => Ok(()),
            _ => Err(ClientError::Confused),
        }
    }

    /// The first reply, and where more come from.
    async fn ask(&self, request: &Request) -> Result<(Wire, Reply), ClientError> {
        let mut attempts = 1..=ATTEMPTS_MAX;
        loop {
            let is_last = attempts.next() == Some(ATTEMPTS_MAX);
            let (mut wire, _) = self.connect().await?;
            wire.send(request).await?;
            match within(PATIENCE, wire.receive()).await? {
                Reply::Refused(refusal) if is_last || refusal.reason != Reason::HandedOver => {
                    return Err(refusal.into());
                }
                Reply::Refused(_) => {}
                reply => return Ok((wire, reply)),
            }
        }
    }

    async fn connect(&self) -> Result<(Wire, Hello), ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            let socket = self.socket.clone();
            match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NotRunning(socket)
                }
                _ => ClientError::Unreachable(socket, error),
            }
        })?;
        let mut wire = Wire::new(stream);
        let hello = wire.greet().await?;
        Ok((wire, hello))
    }
}
