use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{journal::Journal, run::Run};
use crate::{engine::Engine, model::Timestamp};

/// Lines that are written together.
const BATCH: usize = 200;
/// The stream can break off while the container runs on.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// After the deploy has been decided, what is on its way still counts.
const DRAIN: Duration = Duration::from_millis(500);

/// Copies the candidate's output into the deploy's log until `decided`.
pub(super) async fn follow(run: &Run, candidate: &str, decided: CancellationToken) {
    let (engine, journal) = (&run.tools.engine, &run.journal);
    // A server that was stopped has copied what came before.
    let mut since = journal.heard_until().await;
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
    let mut lines = std::pin::pin!(lines);
    // While some lines are being committed, the next ones gather: the slower the
    // disk, the more of them share a commit. A full queue holds the reader back,
    // and Docker keeps the lines.
    let (queue, mut waiting) = mpsc::channel(2 * BATCH);
    let read = async move {
        while let Some(line) = lines.next().await {
            let fresh = line
                .ok()
                .filter(|line| before.is_none_or(|before| line.time > before));
            if let Some(line) = fresh
                && queue
                    .send((line.stream, line.time, line.line))
                    .await
                    .is_err()
            {
                break;
            }
        }
    };
    let write = async {
        let mut batch = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            let newest = batch.last().map(|(_, time, _)| *time);
            let lines = std::mem::take(&mut batch);
            if let Err(error) = journal.output(lines, candidate).await {
                tracing::warn!(%error, "lines of a deploy's log were not kept");
                break;
            }
            *since = newest.or(*since);
        }
    };
    tokio::join!(read, write);
}
