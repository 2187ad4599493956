use futures_util::{FutureExt, future::BoxFuture};
use tiny_forge_events::{Page, Replay, ReplayError};

use super::Filter;
use crate::{
    model::EventId,
    store::{PageRequest, Store},
};

/// Frames read at once for a socket, and their bytes: about what it takes at once.
const PAGE: usize = 1_024;
const PAGE_BYTES: usize = 512 << 10;

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
