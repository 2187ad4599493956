//! Where the data plane holds a lane's ports: an address for the new instance, and the
//! ports and domains that lead to it or to the old one.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tiny_forge_proxy::Route;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{error::Stop, run::Run};
use crate::{
    model::{Plan, RestartPolicy, StepName},
    routing::{self, Site},
    store::{Held, StoreError},
};

/// How long an instance that runs may take to listen. Until it does, the other goes on.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
/// Within one machine an answer that takes longer will not come.
const ATTEMPT: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Run {
    /// On our own network, and nobody else's.
    pub(super) async fn free_address(&self) -> Result<Ipv4Addr, Stop> {
        let failed = |reason: String| Stop::failed(StepName::Plan, reason);
        let network = self.tools.engine.own_network(&self.tools.network).await;
        let network = network.map_err(|error| failed(error.to_string()))?;
        let (last, given) = self.tools.store.read(|reader| reader.addresses()).await?;
        network.free(last, &given).ok_or_else(|| {
            failed("our network has no address left: remove instances that have ended".to_owned())
        })
    }

    /// Its ports are listened to, as far as they will be. One that only the old instance
    /// listens on is an error, and so is an address that cannot be reached at all.
    pub(super) async fn until_reached(&self, plan: &Plan) -> Result<(), String> {
        let old = self.routes_to_old(plan).await;
        let old = old.map_err(|error| error.to_string())?;
        let mut asked = BTreeSet::new();
        for route in self.routes_to_candidate(plan) {
            let upstream = route.upstream;
            if !asked.insert(upstream) {
                continue;
            }
            let Err(error) = until_listens(upstream).await else {
                continue;
            };
            if error.kind() != io::ErrorKind::ConnectionRefused {
                return Err(format!(
                    "{upstream} cannot be reached from this host ({error}): \
                     take `stop-first` as the routing"
                ));
            }
            let before = old.iter().find(|old| old.listen == route.listen);
            if let Some(before) = before
                && connect(before.upstream).await.is_ok()
            {
                let port = upstream.port();
                return Err(format!(
                    "nobody listens on its port {port}, as the old one does"
                ));
            }
            let line = format!("warning: nobody listens on {upstream} yet");
            let said = self.journal.say(line).await;
            said.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The engine does not start it by itself any more.
    pub(super) async fn demote(&self, old: &str) -> Result<(), String> {
        let engine = &self.tools.engine;
        match engine.set_restart_policy(old, RestartPolicy::No).await {
            Err(error) if !error.is_not_found() => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    /// Its ports lead to the new instance; to none of ours if it holds them itself.
    pub(super) async fn lead_to_candidate(&self, plan: &Plan) -> Result<(), String> {
        let old = self.held_by_old(plan).await;
        let old = old.map_err(|error| error.to_string())?;
        let candidate = self.held_by_candidate(plan);
        self.turn(plan, old.as_ref(), candidate.as_ref()).await
    }

    /// The new instance is to publish them by itself.
    pub(super) async fn let_go_of_old(&self, plan: &Plan) -> Result<(), String> {
        self.lead(plan, &[]).await
    }

    /// Its ports lead to whom the lane names, whoever that is.
    pub(super) async fn lead_to_serving(&self, plan: &Plan) -> Result<(), String> {
        let held = self.tools.store.read(|reader| reader.held()).await;
        let held = held.map_err(|error| error.to_string())?;
        let serving = held.iter().find(|held| held.lane == self.deploy.lane);
        let candidate = self.held_by_candidate(plan);
        self.turn(plan, candidate.as_ref(), serving).await
    }

    /// What does not lead to the old instance as well is given up: it may need the port.
    /// Whatever goes wrong with that, the old one is to come back.
    pub(super) async fn let_go_of_candidate(&self, plan: &Plan) -> Result<(), StoreError> {
        let mut kept = self.routes_to_candidate(plan);
        let old = self.routes_to_old(plan).await?;
        kept.retain(|route| old.iter().any(|old| old.listen == route.listen));
        match self.lead(plan, &kept).await {
            Ok(()) => Ok(()),
            Err(reason) => self.journal.say(format!("warning: {reason}")).await,
        }
    }

    /// For a while, until the old instance listens: the ports lead to the other meanwhile.
    pub(super) async fn until_old_listens(&self, plan: &Plan) -> Result<(), StoreError> {
        for upstream in upstreams(&self.routes_to_old(plan).await?) {
            if let Err(error) = until_listens(upstream).await {
                let line = format!("warning: the old instance does not listen: {error}");
                self.journal.say(line).await?;
            }
        }
        Ok(())
    }

    /// Its ports lead to the old instance again.
    pub(super) async fn lead_back(&self, plan: &Plan) -> Result<(), String> {
        let old = self.held_by_old(plan).await;
        let old = old.map_err(|error| error.to_string())?;
        let candidate = self.held_by_candidate(plan);
        self.turn(plan, candidate.as_ref(), old.as_ref()).await
    }

    /// Ports and domains lead to `to`, where they may lead to `from` now. A domain always
    /// leads to somebody meanwhile. Whoever has none at all lets go of Caddy's ports first:
    /// they may be wanted as its own.
    async fn turn(
        &self,
        plan: &Plan,
        from: Option<&Held>,
        to: Option<&Held>,
    ) -> Result<(), String> {
        let routes = to.map(routing::routes).unwrap_or_default();
        let sites = to.map(routing::sites).unwrap_or_default();
        if sites.is_empty() {
            let let_go = self.lead_domains(&sites).await;
            self.lead(plan, &routes).await?;
            return let_go;
        }
        let mut doors = from.map(routing::doors).unwrap_or_default();
        doors.retain(|door| routes.iter().all(|route| route.listen != door.listen));
        let has_moved = !doors.is_empty();
        self.lead(plan, &[routes.clone(), doors].concat()).await?;
        self.lead_domains(&sites).await?;
        if has_moved {
            self.lead(plan, &routes).await?;
        }
        Ok(())
    }

    /// Where neither the new nor the old instance is behind held ports, nobody is asked:
    /// such a deploy needs no data plane.
    async fn lead(&self, plan: &Plan, routes: &[Route]) -> Result<(), String> {
        let old = self.routes_to_old(plan).await;
        if plan.address.is_none() && old.map_err(|error| error.to_string())?.is_empty() {
            return Ok(());
        }
        let lane = self.deploy.lane.to_string();
        let led = self.tools.data_plane.lead(&lane, routes).await;
        led.map_err(|error| error.to_string())
    }

    async fn lead_domains(&self, sites: &[Site]) -> Result<(), String> {
        let lane = self.deploy.lane.to_string();
        let led = self.tools.caddy.lead(&lane, sites).await;
        led.map_err(|error| error.to_string())
    }

    pub(super) fn routes_to_candidate(&self, plan: &Plan) -> Vec<Route> {
        let held = self.held_by_candidate(plan);
        held.iter().flat_map(routing::routes).collect()
    }

    pub(super) async fn routes_to_old(&self, plan: &Plan) -> Result<Vec<Route>, StoreError> {
        let held = self.held_by_old(plan).await?;
        Ok(held.iter().flat_map(routing::routes).collect())
    }

    fn held_by_candidate(&self, plan: &Plan) -> Option<Held> {
        Some(Held {
            lane: self.deploy.lane.clone(),
            generation: self.deploy.generation,
            ports: self.spec.ports.clone(),
            domains: self.spec.domains.clone(),
            loopback: plan.loopback.clone(),
            address: plan.address?,
        })
    }

    async fn held_by_old(&self, plan: &Plan) -> Result<Option<Held>, StoreError> {
        let Some(old) = plan.replaces.clone() else {
            return Ok(None);
        };
        let (store, lane) = (&self.tools.store, self.deploy.lane.clone());
        let held = store.read(move |reader| reader.held_as(&lane, &old));
        held.await
    }
}

/// Each once, though several addresses of the host lead to it.
fn upstreams(routes: &[Route]) -> BTreeSet<SocketAddr> {
    routes.iter().map(|route| route.upstream).collect()
}

/// For a while; the last error after that.
async fn until_listens(address: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + LISTENS_WITHIN;
    loop {
        match connect(address).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(LOOK_EVERY).await,
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<()> {
    let connected = timeout(ATTEMPT, TcpStream::connect(address)).await;
    connected.map_err(|_| io::ErrorKind::TimedOut)?.map(drop)
}
