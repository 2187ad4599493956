//! Where connections lead: counted, so that a container is stopped only when
//! nobody talks to it any more.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use crate::{control::protocol::Destination, route::UpstreamStatus};

/// A container's address behind one listen address.
#[derive(Debug)]
pub struct Upstream {
    pub listen: SocketAddr,
    pub address: SocketAddr,
    since: SystemTime,
    open: watch::Sender<u64>,
    /// Told when what is open is to be cut.
    cut: watch::Sender<()>,
    idle: AtomicU64,
    to_upstream_bytes: AtomicU64,
    to_client_bytes: AtomicU64,
}

/// The place of one connection at its upstream, given back when dropped.
#[derive(Debug)]
pub struct Place {
    pub upstream: Arc<Upstream>,
    cut: watch::Receiver<()>,
    is_idle: bool,
}

impl Upstream {
    pub fn new(listen: SocketAddr, address: SocketAddr) -> Self {
        Self {
            listen,
            address,
            since: SystemTime::now(),
            open: watch::Sender::new(0),
            cut: watch::Sender::new(()),
            idle: AtomicU64::new(0),
            to_upstream_bytes: AtomicU64::new(0),
            to_client_bytes: AtomicU64::new(0),
        }
    }

    pub fn open(&self) -> u64 {
        *self.open.borrow()
    }

    pub const fn destination(&self) -> Destination {
        Destination {
            listen: self.listen,
            upstream: self.address,
        }
    }

    pub fn watch_open(&self) -> watch::Receiver<u64> {
        self.open.subscribe()
    }

    /// Ends every connection that is open now, and says how many; those that
    /// come later are not concerned.
    pub fn cut(&self) -> u64 {
        let open = self.open();
        self.cut.send_replace(());
        open
    }

    pub fn status(&self, is_current: bool) -> UpstreamStatus {
        let since = self.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        UpstreamStatus {
            upstream: self.address,
            is_current,
            open: self.open(),
            idle: self.idle.load(Ordering::Relaxed),
            bytes_to_upstream: self.to_upstream_bytes.load(Ordering::Relaxed),
            bytes_to_client: self.to_client_bytes.load(Ordering::Relaxed),
            since_unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Place {
    pub fn at(upstream: &Arc<Upstream>) -> Self {
        upstream.open.send_modify(|open| *open += 1);
        Self {
            upstream: upstream.clone(),
            cut: upstream.cut.subscribe(),
            is_idle: false,
        }
    }

    pub fn set_idle(&mut self, is_idle: bool) {
        if is_idle == self.is_idle {
            return;
        }
        self.is_idle = is_idle;
        if is_idle {
            self.upstream.idle.fetch_add(1, Ordering::Relaxed);
        } else {
            self.upstream.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub fn add_to_upstream(&self, bytes: usize) {
        let counter = &self.upstream.to_upstream_bytes;
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn add_to_client(&self, bytes: usize) {
        let counter = &self.upstream.to_client_bytes;
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn watch_cut(&self) -> watch::Receiver<()> {
        self.cut.clone()
    }
}

/// Connections to an upstream that another process still has, so that a drain
/// waits for them too.
#[derive(Debug)]
pub struct Lodgers {
    upstream: Arc<Upstream>,
    open: u64,
    cut: watch::Receiver<()>,
}

impl Lodgers {
    pub fn new(upstream: Arc<Upstream>, open: u64) -> Self {
        let cut = upstream.cut.subscribe();
        let mut lodgers = Self {
            upstream,
            open: 0,
            cut,
        };
        lodgers.set(open);
        lodgers
    }

    pub fn set(&mut self, open: u64) {
        let before = std::mem::replace(&mut self.open, open);
        let update = |all: &mut u64| *all = *all - before + open;
        self.upstream.open.send_modify(update);
    }

    /// Whether they are to be cut; asked again, only when that was said again.
    pub fn is_cut(&mut self) -> bool {
        let is_cut = self.cut.has_changed().unwrap_or(false);
        self.cut.mark_unchanged();
        is_cut
    }
}

impl Drop for Lodgers {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set_idle(false);
        self.upstream.open.send_modify(|open| *open -= 1);
    }
}
