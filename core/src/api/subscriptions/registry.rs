use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rand::Rng;

use super::Transport;
use crate::{
    api::ApiError,
    events::{Filter, Gone, Progress, Seat, Steering},
    model::{EventId, Principal, Timestamp},
};

/// Event streams that may be open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// By all clients together; more are answered with 503.
    pub streams_max: usize,
    /// By one address; more are answered with 429.
    pub streams_per_client: usize,
}

/// File descriptors that are kept for all that is no event stream.
const OTHER_DESCRIPTORS: usize = 512;

impl Limits {
    /// No more than a process with so many file descriptors can serve: beyond them nobody
    /// would be told to come later, and nothing else would work.
    pub fn within(self, descriptors: usize) -> Self {
        let free = descriptors.saturating_sub(OTHER_DESCRIPTORS).max(1);
        let limits = Self {
            streams_max: self.streams_max.min(free),
            streams_per_client: self.streams_per_client.min(free),
        };
        if limits != self {
            tracing::warn!(
                streams_max = limits.streams_max,
                descriptors,
                "the system allows fewer file descriptors than `streams_max` needs: raise them \
                 with `ulimit -n`, or `LimitNOFILE` of a systemd unit"
            );
        }
        limits
    }
}

/// Knows every open stream. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    limits: Limits,
    open: Mutex<HashMap<String, Entry>>,
}

/// One open stream.
#[derive(Clone)]
pub struct Entry {
    pub principal: Principal,
    pub client: IpAddr,
    pub since: Timestamp,
    pub link: Link,
}

/// A stream that is about to open.
pub struct Newcomer {
    pub principal: Principal,
    pub client: IpAddr,
    pub link: Link,
}

/// The way to what writes a stream.
#[derive(Clone)]
pub enum Link {
    Socket(Seat),
    Body {
        steering: Steering,
        sent_bytes: Arc<AtomicU64>,
    },
}

/// A stream's place in the registry; dropped when it ends.
pub struct Entered {
    registry: Registry,
    id: String,
}

impl Registry {
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits,
            open: Mutex::default(),
        }))
    }

    /// Takes a place, or says that there is none.
    pub fn enter(&self, newcomer: Newcomer) -> Result<Entered, ApiError> {
        let Newcomer {
            principal,
            client,
            link,
        } = newcomer;
        let mut open = self.open();
        self.check_room(&open, client)?;
        let id = format!("s{:016x}", rand::rng().random::<u64>());
        open.insert(
            id.clone(),
            Entry {
                principal,
                client,
                since: Timestamp::now(),
                link,
            },
        );
        Ok(Entered {
            registry: self.clone(),
            id,
        })
    }

    fn check_room(&self, open: &HashMap<String, Entry>, client: IpAddr) -> Result<(), ApiError> {
        let Limits {
            streams_max,
            streams_per_client,
        } = self.0.limits;
        if open.len() >= streams_max {
            return Err(ApiError::busy(format!(
                "all of the {streams_max} event streams are taken: close some, wait a moment, or raise `streams_max`"
            )));
        }
        // Counting costs only those who are many.
        if open.len() < streams_per_client {
            return Ok(());
        }
        let mine = open.values().filter(|entry| entry.client == client);
        if mine.count() >= streams_per_client {
            return Err(ApiError::too_many(format!(
                "{client} has {streams_per_client} event streams open: close some, or raise `streams_per_client`"
            )));
        }
        Ok(())
    }

    pub fn all(&self) -> Vec<(String, Entry)> {
        let open = self.open();
        let all = open.iter();
        all.map(|(id, entry)| (id.clone(), entry.clone())).collect()
    }

    /// Only for who opened it.
    pub fn find(&self, id: &str, principal: &Principal) -> Option<Entry> {
        let open = self.open();
        open.get(id)
            .filter(|entry| entry.principal == *principal)
            .cloned()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered {
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.registry.open().remove(&self.id);
    }
}

impl Link {
    pub fn transport(&self) -> Transport {
        match self {
            Self::Socket(_) => Transport::Socket,
            Self::Body { .. } => Transport::Body,
        }
    }

    /// The event after which the new filter holds.
    pub async fn change(&self, filter: Filter) -> Result<EventId, Gone> {
        match self {
            Self::Socket(seat) => seat.change(filter).await,
            Self::Body { steering, .. } => Ok(steering.change(filter)),
        }
    }

    pub async fn progress(&self) -> Result<Progress, Gone> {
        match self {
            Self::Socket(seat) => seat.progress().await,
            Self::Body {
                steering,
                sent_bytes,
            } => Ok(steering.progress(sent_bytes.load(Ordering::Relaxed))),
        }
    }
}
