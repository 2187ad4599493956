//! Where the connections of one listen address go, exchanged in one moment.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{mpsc, watch};

use crate::{
    connection::Emigrant,
    upstream::{Place, Upstream},
};

#[derive(Debug, Clone)]
pub enum Target {
    Upstream(Arc<Upstream>),
    /// The route was removed.
    Nowhere,
    /// Another process listens now, and takes connections that are idle.
    Successor(mpsc::Sender<Emigrant>),
}

/// Where a connection is to go, with a place for it there.
pub enum Way {
    Upstream(Place),
    Nowhere,
    Successor(mpsc::Sender<Emigrant>),
}

#[derive(Debug)]
pub struct Switch {
    pub listen: SocketAddr,
    target: watch::Sender<Target>,
    parked: AtomicU64,
    waiting: AtomicU64,
}

/// A connection that has no upstream for now; counted until it is dropped.
pub struct Idle<'a>(&'a AtomicU64);

impl Switch {
    pub fn new(listen: SocketAddr, upstream: Arc<Upstream>) -> Self {
        Self {
            listen,
            target: watch::Sender::new(Target::Upstream(upstream)),
            parked: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        }
    }

    pub fn turn(&self, target: Target) {
        self.target.send_replace(target);
    }

    pub fn watch(&self) -> watch::Receiver<Target> {
        self.target.subscribe()
    }

    /// The place is taken while the target cannot change: once it has been
    /// turned, nobody new comes to the old upstream.
    pub fn way(&self) -> Way {
        match &*self.target.borrow() {
            Target::Upstream(upstream) => Way::Upstream(Place::at(upstream)),
            Target::Nowhere => Way::Nowhere,
            Target::Successor(successor) => Way::Successor(successor.clone()),
        }
    }

    pub fn leads_to(&self, upstream: &Arc<Upstream>) -> bool {
        match &*self.target.borrow() {
            Target::Upstream(current) => Arc::ptr_eq(current, upstream),
            Target::Nowhere | Target::Successor(_) => false,
        }
    }

    /// Between two requests.
    pub fn park(&self) -> Idle<'_> {
        Idle::among(&self.parked)
    }

    /// For an upstream that refuses.
    pub fn wait(&self) -> Idle<'_> {
        Idle::among(&self.waiting)
    }

    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn parked(&self) -> u64 {
        self.parked.load(Ordering::Relaxed)
    }
}

impl Target {
    pub const fn is_upstream(&self) -> bool {
        matches!(self, Self::Upstream(_))
    }
}

impl<'a> Idle<'a> {
    fn among(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
