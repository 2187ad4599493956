//! Tells when the plugins folder may have changed.

use std::{path::Path, sync::Arc};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Pokes whenever something happens in the folder; stops when dropped. Where
/// the system cannot watch, the regular look at the folder has to do.
pub(super) fn watch(folder: &Path, poke: Arc<Notify>) -> Option<RecommendedWatcher> {
    let watching = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is no news.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            poke.notify_one();
        }
    })
    .and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watching
        .map_err(|error| {
            tracing::warn!(%error, folder = %folder.display(), "changes of plugins are noticed late");
        })
        .ok()
}
