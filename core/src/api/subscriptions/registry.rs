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
    api::{ApiError, format::Format},
    events::{Fanout, Filter, Gone, Progress, Seat, Steering},
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
    entered: AtomicU64,
}

/// One open stream.
#[derive(Clone)]
pub struct Entry {
    pub id: String,
    /// Counted up: the order in which they are listed.
    pub number: u64,
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
        format: Format,
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
            entered: AtomicU64::new(1),
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
                id: id.clone(),
                number: self.0.entered.fetch_add(1, Ordering::Relaxed),
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

    /// The oldest `limit` of those that were opened after the one with this number.
    pub fn page(&self, after: u64, limit: usize) -> Vec<Entry> {
        let open = self.open();
        let mut later: Vec<&Entry> = open.values().filter(|it| it.number > after).collect();
        later.sort_unstable_by_key(|entry| entry.number);
        later.into_iter().take(limit).cloned().collect()
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

/// How far each of these has come; `None` for one that has ended meanwhile.
pub async fn progress(fanout: &Fanout, entries: &[Entry]) -> Vec<Option<Progress>> {
    let seats = entries.iter().filter_map(|entry| match &entry.link {
        Link::Socket(seat) => Some(seat.clone()),
        Link::Body { .. } => None,
    });
    let seats: Vec<Seat> = seats.collect();
    let mut on_sockets = fanout.progress(&seats).await.into_iter();
    let progress = entries.iter().map(|entry| match &entry.link {
        Link::Socket(_) => on_sockets.next().flatten(),
        Link::Body {
            steering,
            sent_bytes,
            ..
        } => Some(steering.progress(sent_bytes.load(Ordering::Relaxed))),
    });
    progress.collect()
}

impl Link {
    pub fn transport(&self) -> Transport {
        match self {
            Self::Socket(_) => Transport::Socket,
            Self::Body { .. } => Transport::Body,
        }
    }

    /// What it can send of what is wanted.
    pub fn narrow(&self, wanted: Filter) -> Filter {
        match self {
            Self::Socket(_) => wanted,
            Self::Body { format, .. } => format.narrow(wanted),
        }
    }

    /// The event after which the new filter holds.
    pub async fn change(&self, filter: Filter) -> Result<EventId, Gone> {
        match self {
            Self::Socket(seat) => seat.change(filter).await,
            Self::Body { steering, .. } => Ok(steering.change(filter)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::events::{Bus, Log, Start};

    /// Streams that nobody reads.
    fn open(registry: &Registry, bus: &Bus, principal: Principal) -> Entered {
        let subscription = bus.subscribe(Filter::default(), Start::Live);
        let newcomer = Newcomer {
            principal,
            client: Ipv4Addr::LOCALHOST.into(),
            link: Link::Body {
                format: Format::Plain,
                steering: subscription.steering(),
                sent_bytes: Arc::default(),
            },
        };
        registry.enter(newcomer).expect("there is room")
    }

    fn with_registry(test: impl FnOnce(&Registry, &Bus)) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let log = Log::new();
        let opened = crate::store::Store::open(&dir.path().join("tiny-forge.db"), &log);
        let (store, threads) = opened.expect("a database");
        let limits = Limits {
            streams_max: 100,
            streams_per_client: 100,
        };
        test(&Registry::new(limits), &Bus::new(store, log));
        threads.join();
    }

    #[test]
    fn there_are_no_more_streams_than_the_system_has_descriptors_for() {
        let limits = |streams_max, streams_per_client| Limits {
            streams_max,
            streams_per_client,
        };
        let wanted = limits(10_000, 1_000);
        assert_eq!(wanted.within(20_000), wanted);
        assert_eq!(wanted.within(1_024), limits(512, 512));
        assert_eq!(wanted.within(100), limits(1, 1));
    }

    #[test]
    fn a_stream_is_found_by_who_opened_it_and_by_nobody_else() {
        with_registry(|registry, bus| {
            let mine = open(registry, bus, Principal::Local);
            let other = open(registry, bus, Principal::System("other"));
            let found = |id: &str, principal| registry.find(id, &principal).map(|entry| entry.id);
            assert_eq!(
                found(mine.id(), Principal::Local).as_deref(),
                Some(mine.id())
            );
            assert_eq!(found(other.id(), Principal::Local), None);
            assert_eq!(found(mine.id(), Principal::System("other")), None);
            let gone = mine.id().to_owned();
            drop(mine);
            assert_eq!(found(&gone, Principal::Local), None);
        });
    }

    #[test]
    fn pages_go_on_behind_the_last_one_whoever_has_left_meanwhile() {
        with_registry(|registry, bus| {
            let mut open: Vec<_> = (0..10)
                .map(|_| open(registry, bus, Principal::Local))
                .collect();
            let ids: Vec<String> = open.iter().map(|entered| entered.id().to_owned()).collect();
            let listed = |page: &[Entry]| -> Vec<String> {
                page.iter().map(|entry| entry.id.clone()).collect()
            };
            let first = registry.page(0, 4);
            assert_eq!(listed(&first), ids[..4]);
            // With the one that the next page goes on behind.
            open.drain(3..5);
            let second = registry.page(first[3].number, 4);
            assert_eq!(listed(&second), ids[5..9]);
            assert_eq!(listed(&registry.page(second[3].number, 4)), ids[9..]);
        });
    }
}
