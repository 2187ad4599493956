use std::time::Duration;

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::journal::Journal;
use crate::{engine::Engine, model::Timestamp};

/// Lines that are written together.
const BATCH: usize = 200;
/// The stream can break off while the container runs on.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// After the deploy has been decided, what is on its way still counts.
const DRAIN: Duration = Duration::from_millis(500);

/// Copies the candidate's output into the deploy's log until `decided`.
pub(super) async fn follow(
    engine: &Engine,
    journal: &Journal,
    candidate: &str,
    decided: CancellationToken,
) {
    let mut since: Option<Timestamp> = None;
    let end = async {
        decided.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let copy = async {
        loop {
            copy_until_break(engine, journal, candidate, &mut since).await;
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    };
    tokio::select! {
        () = end => {}
        () = copy => {}
    }
}

async fn copy_until_break(
    engine: &Engine,
    journal: &Journal,
    candidate: &str,
    since: &mut Option<Timestamp>,
) {
    // Going on is by whole seconds, so what was read before comes again.
    let before = *since;
    let Ok(lines) = engine.output(candidate, before) else {
        return;
    };
    let mut lines = std::pin::pin!(lines.ready_chunks(BATCH));
    while let Some(chunk) = lines.next().await {
        let fresh: Vec<_> = chunk
            .into_iter()
            .filter_map(Result::ok)
            .filter(|line| before.is_none_or(|before| line.time > before))
            .map(|line| (line.stream, line.time, line.line))
            .collect();
        if let Some((_, newest, _)) = fresh.last() {
            *since = Some(*newest);
        }
        if let Err(error) = journal.lines(fresh, Some(candidate)).await {
            tracing::warn!(%error, "lines of a deploy's log were not kept");
        }
    }
}
