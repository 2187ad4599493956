use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::PipelineStatus;
use crate::{
    model::PipelineState,
    store::{RETRY_STORE, Store, StoreError, Tx},
};

/// Writes, and goes on trying while the store is busy or the disk is full, which its
/// `status` tells. `None` when cancelled before it was done.
pub(super) async fn store_until_done<T, F>(
    store: &Store,
    change: impl Fn() -> F,
    status: &PipelineStatus,
    token: &CancellationToken,
) -> Option<T>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
{
    let before = status.known();
    loop {
        match store.write(change()).await {
            Ok(done) => {
                status.set(before.state, before.error);
                return Some(done);
            }
            Err(StoreError::Closed) => return None,
            Err(error) => {
                tracing::warn!(%error, "a pipeline waits for the store");
                let waits = format!("waits for the store: {error}");
                status.set(PipelineState::Paused, Some(waits));
                sleep_unless(RETRY_STORE, token).await?;
            }
        }
    }
}

pub(super) async fn sleep_unless(time: Duration, token: &CancellationToken) -> Option<()> {
    tokio::select! {
        () = token.cancelled() => None,
        () = tokio::time::sleep(time) => Some(()),
    }
}
