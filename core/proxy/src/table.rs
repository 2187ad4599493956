//! What is held: every listen address, and every upstream that connections
//! lead to.
//!
//! One task owns it, so that changes come one after the other.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use crate::{
    connection::{Emigrant, Newcomer},
    control::protocol::{Destination, Lodging, Reason, Refusal},
    holder::holder_of,
    listening::{Listening, bind},
    route::{Route, RouteStatus},
    route_file::RouteFile,
    switch::{Switch, Target},
    upstream::{Lodgers, Upstream},
};

pub struct Table {
    file: RouteFile,
    held: BTreeMap<SocketAddr, Held>,
    /// Those that routes lead to, and those that connections still do.
    upstreams: Vec<Arc<Upstream>>,
    places: Arc<Semaphore>,
    /// One for each socket that listens or whose connections have not ended.
    tasks: JoinSet<()>,
}

struct Held {
    route: Route,
    socket: Result<Listening, String>,
}

impl Table {
    pub fn new(file: RouteFile, connections_max: usize) -> Self {
        Self {
            file,
            held: BTreeMap::new(),
            upstreams: Vec::new(),
            places: Arc::new(Semaphore::new(connections_max)),
            tasks: JoinSet::new(),
        }
    }

    /// Holds what the file says: with the sockets of the process before, or
    /// with new ones. A port that cannot be had keeps nobody from the others.
    pub async fn hold(
        &mut self,
        routes: Vec<Route>,
        mut sockets: BTreeMap<SocketAddr, TcpListener>,
    ) {
        for route in routes {
            let socket = match sockets.remove(&route.listen) {
                Some(socket) => Ok(socket),
                None => listen(route.listen).await,
            };
            if let Err(problem) = &socket {
                tracing::error!(lane = route.lane, "{problem}; it is tried again");
            }
            self.enter(route, socket);
        }
    }

    /// Tries again what could not be listened to.
    pub async fn listen_again(&mut self) {
        let missing = self.held.values().filter(|held| held.socket.is_err());
        let routes: Vec<Route> = missing.map(|held| held.route.clone()).collect();
        for route in routes {
            let socket = listen(route.listen).await;
            if socket.is_ok() {
                tracing::info!(listen = %route.listen, lane = route.lane, "listens at last");
            }
            self.enter(route, socket);
        }
    }

    /// Durable first, then in force.
    pub async fn put(&mut self, route: Route) -> Result<(), Refusal> {
        let bad = |error| Refusal::new(Reason::BadRoute, error);
        route.check().map_err(bad)?;
        let held = self.held.get(&route.listen);
        if let Some(held) = held.filter(|held| held.route.lane != route.lane) {
            return Err(other_lane(&held.route));
        }
        let listens = held.is_some_and(|held| held.socket.is_ok());
        if listens && held.is_some_and(|held| held.route == route) {
            return Ok(());
        }
        let socket = match listens {
            true => None,
            false => Some(listen(route.listen).await.map_err(not_listening)?),
        };
        let mut routes = self.routes();
        routes.retain(|it| it.listen != route.listen);
        routes.push(route.clone());
        self.write(routes).await?;
        match socket {
            Some(socket) => self.enter(route, Ok(socket)),
            None => self.turn(route),
        }
        Ok(())
    }

    pub async fn remove(&mut self, listen: SocketAddr) -> Result<(), Refusal> {
        if !self.held.contains_key(&listen) {
            return Ok(());
        }
        let mut routes = self.routes();
        routes.retain(|it| it.listen != listen);
        self.write(routes).await?;
        if let Some(Held {
            socket: Ok(socket), ..
        }) = self.held.remove(&listen)
        {
            socket.close(Target::Nowhere).await;
        }
        Ok(())
    }

    /// An upstream that nothing leads to but the connections it still has.
    pub fn leaving(&self, at: Destination) -> Result<Option<Arc<Upstream>>, Refusal> {
        let Destination { listen, upstream } = at;
        let current = self.held.get(&listen).map(|held| held.route.upstream);
        if current == Some(upstream) {
            let message = format!("{listen} leads to {upstream}: lead it elsewhere first");
            return Err(Refusal::new(Reason::InUse, message));
        }
        Ok(self.find(at).cloned())
    }

    pub fn routes(&self) -> Vec<Route> {
        self.held.values().map(|held| held.route.clone()).collect()
    }

    pub fn status(&mut self) -> Vec<RouteStatus> {
        self.forget();
        let mut listens: Vec<_> = self.held.keys().copied().collect();
        listens.extend(self.upstreams.iter().map(|it| it.listen));
        listens.sort_unstable();
        listens.dedup();
        listens
            .into_iter()
            .map(|listen| self.status_of(listen))
            .collect()
    }

    fn status_of(&self, listen: SocketAddr) -> RouteStatus {
        let held = self.held.get(&listen);
        let socket = held.map(|held| held.socket.as_ref());
        let upstreams = self.upstreams.iter().filter(|it| it.listen == listen);
        let is_current = |it: &Upstream| held.is_some_and(|held| held.route.upstream == it.address);
        RouteStatus {
            listen,
            route: held.map(|held| held.route.clone()),
            problem: socket.and_then(Result::err).cloned(),
            parked: socket
                .and_then(Result::ok)
                .map_or(0, |it| it.switch.parked()),
            waiting: socket
                .and_then(Result::ok)
                .map_or(0, |it| it.switch.waiting()),
            upstreams: upstreams.map(|it| it.status(is_current(it))).collect(),
        }
    }

    /// The sockets, to be given to another process.
    pub fn sockets(&self) -> Vec<(SocketAddr, Arc<TcpListener>)> {
        let sockets = self.held.iter();
        sockets
            .filter_map(|(listen, held)| Some((*listen, held.socket.as_ref().ok()?.socket.clone())))
            .collect()
    }

    /// The ways in for clients of another process.
    pub fn doors(&self) -> BTreeMap<SocketAddr, mpsc::Sender<Newcomer>> {
        let sockets = self.held.iter();
        sockets
            .filter_map(|(listen, held)| {
                Some((*listen, held.socket.as_ref().ok()?.newcomers.clone()))
            })
            .collect()
    }

    /// Stops listening, for good. Idle clients go to the successor, if there is
    /// one; who is under way goes on.
    pub async fn close(&mut self, successor: Option<mpsc::Sender<Emigrant>>) {
        for (_, held) in std::mem::take(&mut self.held) {
            if let Ok(socket) = held.socket {
                let target = successor.clone().map_or(Target::Nowhere, Target::Successor);
                socket.close(target).await;
            }
        }
    }

    /// Until the last connection of a closed table has ended.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    pub fn cut_all(&self) -> u64 {
        self.upstreams.iter().map(|it| it.cut()).sum()
    }

    /// Where connections still lead, and how many.
    pub fn lodgings(&self) -> BTreeMap<Destination, u64> {
        let upstreams = self.upstreams.iter();
        upstreams.map(|it| (it.destination(), it.open())).collect()
    }

    /// A place for those that another process has.
    pub fn lodge(&mut self, Lodging { at, open }: Lodging) -> Lodgers {
        Lodgers::new(self.upstream(at), open)
    }

    pub fn cut(&self, at: Destination) {
        if let Some(upstream) = self.find(at) {
            upstream.cut();
        }
    }

    fn enter(&mut self, route: Route, socket: Result<TcpListener, String>) {
        let upstream = self.upstream(route.destination());
        let listening = socket.map(|socket| {
            let switch = Switch::new(route.listen, upstream);
            Listening::begin(socket, switch, self.places.clone(), &mut self.tasks)
        });
        let socket = listening;
        self.held.insert(route.listen, Held { route, socket });
    }

    fn turn(&mut self, route: Route) {
        let upstream = self.upstream(route.destination());
        let Some(held) = self.held.get_mut(&route.listen) else {
            return;
        };
        if let Ok(listening) = &held.socket {
            listening.switch.turn(Target::Upstream(upstream));
        }
        held.route = route;
    }

    /// The same upstream is the same however often routes come back to it, so
    /// that its connections are counted together.
    fn upstream(&mut self, at: Destination) -> Arc<Upstream> {
        self.forget();
        if let Some(known) = self.find(at) {
            return known.clone();
        }
        let upstream = Arc::new(Upstream::new(at.listen, at.upstream));
        self.upstreams.push(upstream.clone());
        upstream
    }

    fn find(&self, at: Destination) -> Option<&Arc<Upstream>> {
        let mut upstreams = self.upstreams.iter();
        upstreams.find(|it| it.listen == at.listen && it.address == at.upstream)
    }

    fn forget(&mut self) {
        let held = &self.held;
        self.upstreams.retain(|it| {
            let current = held.get(&it.listen).map(|held| held.route.upstream);
            it.open() > 0 || current == Some(it.address)
        });
        // Tasks that have ended.
        while self.tasks.try_join_next().is_some() {}
    }

    async fn write(&self, routes: Vec<Route>) -> Result<(), Refusal> {
        self.file.write(routes).await.map_err(|error| {
            let message = format!("the routes cannot be written to disk: {error}");
            Refusal::new(Reason::Storage, message)
        })
    }
}

/// Whether a route could listen there now; if not, who is in the way.
pub async fn can_listen(at: SocketAddr) -> Result<(), String> {
    listen(at).await.map(drop)
}

/// A socket, or why there is none, in words.
async fn listen(listen: SocketAddr) -> Result<TcpListener, String> {
    let error = match bind(listen) {
        Ok(socket) => return Ok(socket),
        Err(error) => error,
    };
    if error.kind() != io::ErrorKind::AddrInUse {
        return Err(format!(
            "port {} cannot be listened to ({listen}): {error}",
            listen.port()
        ));
    }
    let holder = tokio::task::spawn_blocking(move || holder_of(listen)).await;
    let port = listen.port();
    Err(match holder.ok().flatten() {
        Some(holder) => {
            format!("port {port} ({listen}) is held by {holder}: stop it, or take another port")
        }
        None => format!(
            "port {port} ({listen}) is in use: `ss -ltnp 'sport = :{port}'`, as root, says by whom"
        ),
    })
}

fn other_lane(held: &Route) -> Refusal {
    let Route { listen, lane, .. } = held;
    let port = listen.port();
    let message = format!("port {port} ({listen}) is held for `{lane}`: take another port");
    Refusal::new(Reason::OtherLane, message)
}

fn not_listening(problem: String) -> Refusal {
    Refusal::new(Reason::Listen, problem)
}
