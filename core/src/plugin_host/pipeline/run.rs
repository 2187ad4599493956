use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    change::Change,
    decide::{Decided, Destination, Step, Undecided, is_ours},
    patience::{RETRY_STORE, sleep_unless, store_until_done},
    task::{PipelineTask, SinkQueue, until_present},
    when::Matcher,
};
use crate::{
    events::{Frame, Next, Subscription},
    failpoint::{self, Failpoint},
    model::{EventId, PipelineState},
    store::{NewDrop, PipelineProgress, StoreError, Tx},
};

/// Events decided before what was decided is stored.
const BATCH: usize = 64;
/// How often a cursor that only passed over events is stored.
const IDLE_STORE: Duration = Duration::from_secs(10);
/// Longer chains of causes are cut: plugins would answer each other for ever.
const CHAIN_MAX: u32 = 4;

/// A pipeline on its way through the journal.
pub(super) struct Running {
    pub task: PipelineTask,
    pub matcher: Matcher,
    pub steps: Vec<Step>,
    pub sinks: Vec<String>,
    pub subscription: Subscription,
    /// As it is in the store.
    pub stored: EventId,
}

/// The next thing to do.
enum Work {
    Events(Vec<Frame>),
    /// Retention has passed the cursor.
    Skipped {
        to: EventId,
    },
    Idle,
}

impl Running {
    pub async fn run(mut self, token: &CancellationToken) {
        loop {
            self.task.status.set(PipelineState::Running, None);
            let work = tokio::select! {
                () = token.cancelled() => break,
                work = self.next() => work,
            };
            let done = match work {
                Ok(Work::Events(frames)) => self.decide_all(&frames, token).await,
                Ok(Work::Skipped { to }) => self.skip(to, token).await,
                Ok(Work::Idle) => self.store_progress(Decided::default(), token).await,
                Err(error) => {
                    tracing::warn!(pipeline = self.task.name, %error, "the journal cannot be read now");
                    sleep_unless(RETRY_STORE, token).await
                }
            };
            if done.is_none() {
                break;
            }
        }
    }

    async fn next(&mut self) -> Result<Work, StoreError> {
        let next = tokio::time::timeout(IDLE_STORE, self.subscription.next()).await;
        Ok(match next {
            Ok(Ok(Next::Events(frames))) => Work::Events(frames),
            Ok(Ok(Next::Reset { head, .. })) => Work::Skipped { to: head },
            Ok(Err(error)) => return Err(error),
            Err(_) => Work::Idle,
        })
    }

    /// `None` when the pipeline is to end.
    async fn decide_all(&mut self, frames: &[Frame], token: &CancellationToken) -> Option<()> {
        let journal = self.task.bus.head().journal;
        for (index, batch) in frames.chunks(BATCH).enumerate() {
            let mut decided = Decided::default();
            let mut last = None;
            for frame in batch {
                if self.matcher.matches(&frame.parts()) {
                    self.decide(frame, &journal, &mut decided, token).await?;
                }
                last = Some(frame.id());
                // What a plugin wrote is stored before it is called again.
                if !decided.writes.is_empty() {
                    self.store(std::mem::take(&mut decided), frame.id(), token)
                        .await?;
                }
            }
            let is_last = (index + 1) * BATCH >= frames.len();
            let cursor = if is_last {
                Some(self.subscription.cursor())
            } else {
                last
            };
            self.store(decided, cursor?, token).await?;
        }
        Some(())
    }

    /// Asks until there is an answer: an event is never skipped over because a
    /// plugin is away.
    async fn decide(
        &mut self,
        frame: &Frame,
        journal: &str,
        decided: &mut Decided,
        token: &CancellationToken,
    ) -> Option<()> {
        if let Some(drop) = self.cut_chain(frame).await {
            decided.seen += 1;
            decided.drops.push(drop);
            return Some(());
        }
        loop {
            self.until_ready(token).await?;
            let to = Destination {
                journal,
                pipeline: &self.task.name,
                sinks: &self.sinks,
            };
            // A call that has begun is ended: cancelling waits for it.
            match decided.decide(frame, &mut self.steps, &to).await {
                Ok(()) => return Some(()),
                Err(Undecided::Absent) => {}
                Err(Undecided::Hold {
                    reason,
                    retry_after,
                }) => {
                    self.task.status.set(PipelineState::Paused, Some(reason));
                    sleep_unless(retry_after, token).await?;
                }
            }
        }
    }

    /// All plugins of the pipeline are there: what one of them is away for is
    /// not decided without it.
    async fn until_ready(&mut self, token: &CancellationToken) -> Option<()> {
        let status = &self.task.status;
        for step in &mut self.steps {
            let mut versions = step.runner.versions();
            until_present(&mut versions, step.runner.plugin(), status, token).await?;
        }
        for sink in &mut self.task.sinks {
            until_present(&mut sink.versions, &sink.name, status, token).await?;
        }
        status.set(PipelineState::Running, None);
        Some(())
    }

    /// Only what plugins cause can go round in circles.
    async fn cut_chain(&self, frame: &Frame) -> Option<NewDrop> {
        if !is_ours(frame.parts().kind) {
            return None;
        }
        let id = frame.id();
        let depth = self
            .task
            .store
            .read(move |reader| reader.chain_depth(id, CHAIN_MAX + 1))
            .await;
        (depth.unwrap_or(0) > CHAIN_MAX).then(|| NewDrop {
            plugin: "tiny-forge".into(),
            event: id,
            reason: format!("its chain of causes is longer than {CHAIN_MAX}"),
        })
    }

    async fn skip(&mut self, to: EventId, token: &CancellationToken) -> Option<()> {
        let skipped = to.0 - self.stored.0;
        tracing::warn!(
            pipeline = self.task.name,
            skipped,
            "retention has overtaken a pipeline"
        );
        let progress = PipelineProgress {
            cursor: to,
            skipped,
            ..PipelineProgress::default()
        };
        let name = self.task.name.clone();
        let advance = move || {
            let name = name.clone();
            move |tx: &mut Tx<'_>| tx.advance_pipeline(&name, &progress)
        };
        store_until_done(&self.task.store, advance, token).await?;
        self.stored = to;
        Some(())
    }

    async fn store_progress(&mut self, decided: Decided, token: &CancellationToken) -> Option<()> {
        let cursor = self.subscription.cursor();
        if cursor == self.stored {
            return Some(());
        }
        self.store(decided, cursor, token).await
    }

    /// Everything that was decided up to `cursor`, in one transaction.
    async fn store(
        &mut self,
        decided: Decided,
        cursor: EventId,
        token: &CancellationToken,
    ) -> Option<()> {
        let woken: BTreeMap<&str, &SinkQueue> = decided
            .deliveries
            .iter()
            .filter_map(|delivery| {
                let sink = self
                    .task
                    .sinks
                    .iter()
                    .find(|sink| sink.name == delivery.sink)?;
                Some((delivery.sink.as_str(), sink))
            })
            .collect();
        let sinks: Vec<SinkQueue> = woken.into_values().cloned().collect();
        if !sinks.is_empty() {
            failpoint::reached(Failpoint::EventsDecided);
        }
        let change = Arc::new(Change {
            pipeline: self.task.name.clone(),
            sinks: sinks.iter().map(|sink| sink.name.clone()).collect(),
            cursor,
            decided,
        });
        let write = move || {
            let change = change.clone();
            move |tx: &mut Tx<'_>| change.apply(tx)
        };
        store_until_done(&self.task.store, write, token).await?;
        self.stored = cursor;
        if !sinks.is_empty() {
            failpoint::reached(Failpoint::DeliveriesStored);
        }
        for sink in sinks {
            sink.wake.notify_one();
        }
        Some(())
    }
}
