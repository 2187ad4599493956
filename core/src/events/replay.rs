use std::{collections::VecDeque, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use tiny_forge_events::{BYTES_MAX, FRAMES_MAX, Page, Replay, ReplayError};
use tokio::sync::Semaphore;

use super::{Filter, Log};
use crate::{
    model::EventId,
    store::{PageRequest, Store, StoreError},
};

/// Frames read at once for a socket, and their bytes: about what it takes at once.
const PAGE: usize = 1_024;
const PAGE_BYTES: usize = 512 << 10;

/// Pages that are read at once for all clients: half as many as there are readers.
const READS_AT_ONCE: usize = 2;

/// The journal, for clients that have fallen out of memory. They read it in turns: however
/// many come back from far behind, others can read, too.
#[derive(Clone)]
pub struct Past {
    store: Store,
    pub(super) turns: Arc<Semaphore>,
}

impl Past {
    pub(super) fn new(store: Store) -> Self {
        let turns = Arc::new(Semaphore::new(READS_AT_ONCE));
        Self { store, turns }
    }
}

/// Puts the newest of what was there before this life into memory: all who come back
/// after a restart would read it, each alone.
pub(super) async fn recall(store: &Store, log: &Log) -> Result<(), StoreError> {
    let (mut earlier, mut bytes) = (VecDeque::new(), 0);
    let head = log.gone();
    let mut after = EventId((head.0 - FRAMES_MAX as i64).max(0));
    while after < head {
        let page = store.read(move |reader| {
            let request = PageRequest {
                after,
                until: Some(head),
                limit: PAGE,
                bytes: PAGE_BYTES,
            };
            reader.journal_page(&Filter::everything(), &request)
        });
        let page = page.await?;
        after = page.scanned_to;
        bytes += page.segment.as_ref().map_or(0, |it| it.weight());
        earlier.extend(page.segment);
        // The oldest of it would have no room.
        while bytes > BYTES_MAX
            && let Some(oldest) = earlier.pop_front()
        {
            bytes -= oldest.weight();
        }
    }
    log.recall(earlier.into());
    Ok(())
}

impl Replay for Past {
    fn page(
        &self,
        filter: Filter,
        after: EventId,
        until: EventId,
    ) -> BoxFuture<'static, Result<Page, ReplayError>> {
        let Self { store, turns } = self.clone();
        let read = async move {
            let _turn = turns.acquire().await;
            store
                .read(move |reader| {
                    let request = PageRequest {
                        after,
                        until: Some(until),
                        limit: PAGE,
                        bytes: PAGE_BYTES,
                    };
                    let is_incomplete = after < reader.floor(&filter)?;
                    let (chunks, scanned_to) = reader.wire_page(&filter, &request)?;
                    Ok(Page {
                        chunks,
                        scanned_to,
                        is_incomplete,
                    })
                })
                .await
                .map_err(|error| ReplayError(error.into()))
        };
        read.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::{READS_AT_ONCE, Replay};
    use crate::{
        events::{Bus, Filter, Gaps, Log, Next, Start},
        model::{EventId, Severity},
        store::Store,
    };

    #[tokio::test]
    async fn clients_read_the_past_in_turns_and_nobody_else_waits_for_one() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let start = || {
            let log = Log::new();
            let opened = Store::open(&dir.path().join("tiny-forge.db"), &log);
            let (store, threads) = opened.expect("a database");
            (Bus::new(store, log), threads)
        };
        let (bus, threads) = start();
        bus.announce("server", Severity::Info, "started", String::new());
        drop(bus);
        threads.join();

        // What was before is not in memory.
        let (bus, threads) = start();
        let turns = bus.past().turns.clone();
        let taken = turns.acquire_many_owned(READS_AT_ONCE as u32).await;
        let mut body = bus.subscribe_client(Filter::everything(), Start::Oldest, Gaps::Reset);
        let mut ours = bus.subscribe(Filter::everything(), Start::Oldest);
        {
            let page = bus
                .past()
                .page(Filter::everything(), EventId(0), EventId(1));
            let (mut body, mut socket) = (pin!(body.next()), pin!(page));
            assert!(poll!(body.as_mut()).is_pending() && poll!(socket.as_mut()).is_pending());
            assert!(matches!(ours.next().await, Ok(Next::Events(_))));
            assert!(poll!(body.as_mut()).is_pending() && poll!(socket.as_mut()).is_pending());
            drop(taken);
            assert!(matches!(body.await, Ok(Next::Events(_))));
            assert_eq!(socket.await.expect("a page").scanned_to, EventId(1));
        }
        drop((bus, body, ours));
        threads.join();
    }
}
