use std::collections::VecDeque;

use futures_util::{FutureExt, future::BoxFuture};
use tiny_forge_events::{BYTES_MAX, FRAMES_MAX, Page, Replay, ReplayError};

use super::{Filter, Log};
use crate::{
    model::EventId,
    store::{PageRequest, Store, StoreError},
};

/// Frames read at once for a socket, and their bytes: about what it takes at once.
const PAGE: usize = 1_024;
const PAGE_BYTES: usize = 512 << 10;

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

/// The journal, for subscribers that have fallen out of memory.
impl Replay for Store {
    fn page(
        &self,
        filter: Filter,
        after: EventId,
        until: EventId,
    ) -> BoxFuture<'static, Result<Page, ReplayError>> {
        let store = self.clone();
        let read = async move {
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
