use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tiny_forge_proxy::{Client, ClientError, Drained, Route, RouteStatus};
use tokio::sync::{Mutex, MutexGuard};

use super::{Launch, overlap};
use crate::failpoint::{self, Failpoint};

/// The process that holds published ports, as the server sees it; cheap to clone.
#[derive(Clone)]
pub struct DataPlane(Arc<Shared>);

struct Shared {
    client: Client,
    launch: Launch,
    /// One changes the routes at a time.
    turn: Mutex<()>,
    /// It has been seen to run, so it is to go on.
    is_used: AtomicBool,
    /// It was started again, and nobody has been told yet.
    was_restarted: AtomicBool,
}

#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    #[error("the process that holds the ports cannot be started: {0}")]
    NotStarted(String),
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl DataPlane {
    pub fn new(launch: Launch) -> Self {
        Self(Arc::new(Shared {
            client: Client::new(&launch.folder()),
            launch,
            turn: Mutex::new(()),
            is_used: AtomicBool::new(false),
            was_restarted: AtomicBool::new(false),
        }))
    }

    /// Ports are held, as the store says: so it should run already.
    pub(super) fn expect_running(&self) {
        self.0.is_used.store(true, Ordering::Relaxed);
    }

    /// The lane's ports lead here, and it has no others; in force when this returns.
    /// The same again changes nothing. The process is started where it is needed.
    pub async fn lead(&self, lane: &str, routes: &[Route]) -> Result<(), RoutingError> {
        let turn = self.turn().await;
        turn.lead(lane, routes).await
    }

    /// Until nobody talks to `upstream` any more; tells `progress` how many still do.
    /// What is left at the deadline is cut. If the process ends meanwhile, so have they.
    pub async fn drain(
        &self,
        listen: SocketAddr,
        upstream: SocketAddr,
        deadline: Duration,
        progress: impl FnMut(u64),
    ) -> Result<Drained, RoutingError> {
        let client = &self.0.client;
        let drained = client.drain(listen, upstream, deadline, progress).await;
        Ok(drained?)
    }

    /// All that is held; nothing where it does not run.
    pub async fn held(&self) -> Result<Vec<RouteStatus>, RoutingError> {
        match self.0.client.routes().await {
            Err(ClientError::NotRunning(_)) => Ok(Vec::new()),
            routes => Ok(routes?),
        }
    }

    /// It ran and is gone.
    pub(super) async fn is_lost(&self) -> bool {
        self.0.is_used.load(Ordering::Relaxed) && !self.runs().await
    }

    /// Whether it was started again since this was last asked; by whomever needed it.
    pub(super) fn take_restarted(&self) -> bool {
        self.0.was_restarted.swap(false, Ordering::Relaxed)
    }

    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn {
            plane: self,
            _guard: self.0.turn.lock().await,
        }
    }

    async fn runs(&self) -> bool {
        !matches!(self.0.client.hello().await, Err(ClientError::NotRunning(_)))
    }
}

/// The right to change routes.
pub(super) struct Turn<'a> {
    plane: &'a DataPlane,
    _guard: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    pub(super) async fn lead(&self, lane: &str, routes: &[Route]) -> Result<(), RoutingError> {
        let Shared { client, .. } = &*self.plane.0;
        if routes.is_empty() {
            if !self.plane.runs().await {
                return Ok(());
            }
        } else {
            self.ensure_running().await?;
        }
        let held = client.routes().await?.into_iter();
        let own = held.filter(|it| it.route.as_ref().is_some_and(|route| route.lane == lane));
        let listens = own.map(|it| it.listen);
        let is_wanted = |listen: &SocketAddr| routes.iter().any(|it| it.listen == *listen);
        let unwanted: Vec<SocketAddr> = listens.filter(|listen| !is_wanted(listen)).collect();
        let is_in_the_way =
            |listen: &SocketAddr| routes.iter().any(|it| overlap(it.listen, *listen));
        let (first, last): (Vec<_>, Vec<_>) = unwanted.into_iter().partition(is_in_the_way);
        for listen in first {
            client.remove(listen).await?;
            failpoint::reached_by_deploy(Failpoint::DeployActed);
        }
        for route in routes {
            client.put(route).await?;
            failpoint::reached_by_deploy(Failpoint::DeployActed);
        }
        for listen in last {
            client.remove(listen).await?;
            failpoint::reached_by_deploy(Failpoint::DeployActed);
        }
        Ok(())
    }

    /// Starts it where it is missing.
    pub(super) async fn ensure_running(&self) -> Result<(), RoutingError> {
        let Shared {
            client,
            launch,
            is_used,
            was_restarted,
            ..
        } = &*self.plane.0;
        if !self.plane.runs().await {
            launch.start(client).await?;
            if is_used.load(Ordering::Relaxed) {
                was_restarted.store(true, Ordering::Relaxed);
            }
        }
        is_used.store(true, Ordering::Relaxed);
        Ok(())
    }
}
