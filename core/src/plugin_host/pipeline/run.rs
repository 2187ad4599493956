use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::select_all;
use tokio_util::sync::CancellationToken;

use super::{
    batch::OpenBatch,
    change::{BatchChange, Change, OnceChange},
    decide::{Decided, Gates, Step, Undecided, is_ours},
    gap::Gap,
    patience::{sleep_unless, store_until_done},
    task::{PipelineTask, until_present},
    trail::Trail,
    when::Matcher,
};
use crate::{
    events::{Frame, Next, Subscription},
    failpoint::{self, Failpoint},
    model::{EventId, PipelineState, ResetReason, Timestamp},
    plugin_host::{
        delivery::{HandedOver, seal},
        metrics::DeliveryEnd,
    },
    store::{NewDelivery, NewTraces, PassedEvent, PipelineProgress, RETRY_STORE, StoreError, Tx},
};

/// Events decided before what was decided is stored.
const BATCH: usize = 64;
/// How long what was decided waits for others where its plugins are slow.
const DECIDED_WAITS: Duration = Duration::from_millis(200);
/// How often a cursor that only passed over events is stored.
const IDLE_STORE: Duration = Duration::from_secs(10);
/// Longer chains of causes are cut: plugins would answer each other for ever.
const CHAIN_MAX: u32 = 4;

/// A pipeline on its way through the journal.
pub(super) struct Running {
    pub task: PipelineTask,
    pub matcher: Matcher,
    /// None before it has started.
    pub steps: Vec<Step>,
    pub gates: Gates,
    pub batch: OpenBatch,
    pub subscription: Subscription,
    /// As it is in the store.
    pub stored: EventId,
    pub gap: Gap,
}

/// The next thing to do.
enum Work {
    Events(Vec<Frame>),
    /// The journal is another one: it goes on at its head.
    OtherJournal {
        head: EventId,
    },
    /// Retention has taken some of what was up to here.
    Overtaken {
        floor: EventId,
    },
    /// Nothing has come for a while, or the batch has waited long enough.
    Idle,
}

impl Running {
    pub async fn run(mut self, token: &CancellationToken) {
        if self.start(token).await.is_none() {
            return;
        }
        loop {
            self.task.status.set(PipelineState::Running, None);
            let work = tokio::select! {
                () = token.cancelled() => break,
                work = self.next() => work,
            };
            let done = match work {
                Ok(Work::Events(frames)) => self.decide_all(&frames, token).await,
                Ok(Work::OtherJournal { head }) => self.start_anew(head, token).await,
                Ok(Work::Overtaken { floor }) => self.overtaken(floor, token).await,
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

    /// Takes its steps once they are there. A batch that is due does not wait for that.
    async fn start(&mut self, token: &CancellationToken) -> Option<()> {
        loop {
            let patience = self.batch.time_left().unwrap_or(Duration::MAX);
            let steps = tokio::time::timeout(patience, self.task.start_steps(token)).await;
            match steps {
                Ok(steps) => {
                    self.steps = steps?;
                    return Some(());
                }
                Err(_) => self.keep(&mut Decided::default(), None, token).await?,
            }
        }
    }

    async fn next(&mut self) -> Result<Work, StoreError> {
        let patience = self.batch.time_left().unwrap_or(IDLE_STORE);
        let next = tokio::time::timeout(patience.min(IDLE_STORE), self.subscription.next()).await;
        Ok(match next {
            Ok(Ok(Next::Events(frames))) => Work::Events(frames),
            Ok(Ok(Next::Reset {
                reason: ResetReason::Retention,
                head: floor,
            })) => Work::Overtaken { floor },
            Ok(Ok(Next::Reset { head, .. })) => Work::OtherJournal { head },
            Ok(Err(error)) => return Err(error),
            Err(_) => Work::Idle,
        })
    }

    /// `None` when the pipeline is to end.
    async fn decide_all(&mut self, frames: &[Frame], token: &CancellationToken) -> Option<()> {
        for (index, batch) in frames.chunks(BATCH).enumerate() {
            let mut decided = Decided::default();
            let mut last = None;
            let mut begun = Instant::now();
            for frame in batch {
                if token.is_cancelled() {
                    // The rest is decided by whoever comes next.
                    self.store(decided, last?, token).await?;
                    return None;
                }
                if self.matcher.matches(&frame.parts()) {
                    self.decide(frame, &mut decided, last, token).await?;
                }
                last = Some(frame.id());
                // What a plugin wrote is stored before it is called again.
                let is_late = decided.seen > 0 && begun.elapsed() > DECIDED_WAITS;
                if is_late || !decided.writes.is_empty() {
                    self.store(std::mem::take(&mut decided), frame.id(), token)
                        .await?;
                    begun = Instant::now();
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
    /// plugin is away. What was decided up to `last` does not wait for that, nor does
    /// a batch that is due.
    async fn decide(
        &mut self,
        frame: &Frame,
        decided: &mut Decided,
        last: Option<EventId>,
        token: &CancellationToken,
    ) -> Option<()> {
        if let Some(reason) = self.cut_chain(frame).await {
            let mut trail = Trail::default();
            trail.refused("tiny-forge", &reason);
            decided.drop(frame, "tiny-forge", reason, trail);
            return Some(());
        }
        loop {
            if self.steps.iter().any(|step| step.runner.is_absent()) {
                self.keep(decided, last, token).await?;
            }
            let patience = self.batch.time_left().unwrap_or(Duration::MAX);
            let ready = tokio::time::timeout(patience, self.until_ready(token)).await;
            let Ok(ready) = ready else {
                self.keep(decided, last, token).await?;
                continue;
            };
            ready?;
            // A call that has begun is ended: cancelling waits for it.
            let undecided = decided
                .decide(frame, &mut self.steps, &mut self.gates)
                .await;
            let Err(undecided) = undecided else {
                return Some(());
            };
            self.keep(decided, last, token).await?;
            match undecided {
                Undecided::Absent => {}
                Undecided::Hold {
                    reason,
                    retry_after,
                } => {
                    self.task.status.set(PipelineState::Paused, Some(reason));
                    let patience = self.batch.time_left().unwrap_or(Duration::MAX);
                    self.rest(retry_after.min(patience), token).await?;
                }
            }
        }
    }

    /// What was decided up to `last`, and a batch that is due.
    async fn keep(
        &mut self,
        decided: &mut Decided,
        last: Option<EventId>,
        token: &CancellationToken,
    ) -> Option<()> {
        if decided.seen == 0 && !self.batch.is_due(Timestamp::now()) {
            return Some(());
        }
        let cursor = last.unwrap_or(self.stored);
        self.store(std::mem::take(decided), cursor, token).await
    }

    /// Waits for so long, or until there is a reason to ask a step sooner.
    async fn rest(&mut self, time: Duration, token: &CancellationToken) -> Option<()> {
        let steps = self.steps.iter_mut();
        let news = steps.map(|step| Box::pin(step.runner.news()));
        tokio::select! {
            rested = sleep_unless(time, token) => rested,
            _ = select_all(news) => Some(()),
        }
    }

    /// All plugins of the steps are there: what one of them is away for is not decided
    /// without it. What is for a sink that is away waits in its queue.
    async fn until_ready(&mut self, token: &CancellationToken) -> Option<()> {
        let status = &self.task.status;
        for step in &mut self.steps {
            let mut versions = step.runner.versions();
            until_present(&mut versions, step.runner.plugin(), status, token).await?;
        }
        status.set(PipelineState::Running, None);
        Some(())
    }

    /// Only what plugins cause can go round in circles.
    async fn cut_chain(&self, frame: &Frame) -> Option<String> {
        if !is_ours(frame.parts().kind) {
            return None;
        }
        let id = frame.id();
        let depth = self
            .task
            .store
            .read(move |reader| reader.chain_depth(id, CHAIN_MAX + 1))
            .await;
        (depth.unwrap_or(0) > CHAIN_MAX)
            .then(|| format!("its chain of causes is longer than {CHAIN_MAX}"))
    }

    /// Retention has taken some of what was up to `floor`; it goes on with what is left.
    async fn overtaken(&mut self, floor: EventId, token: &CancellationToken) -> Option<()> {
        tracing::warn!(
            pipeline = self.task.name,
            up_to = floor.0,
            "retention has overtaken a pipeline"
        );
        // What it has passed over on its way here was not missed.
        self.store_progress(Decided::default(), token).await?;
        self.gap.reaches(floor);
        Some(())
    }

    /// Nothing in this journal is what it knew of another one.
    async fn start_anew(&mut self, head: EventId, token: &CancellationToken) -> Option<()> {
        tracing::warn!(
            pipeline = self.task.name,
            "the journal is another one than a pipeline has read: it goes on with what comes next"
        );
        let progress = PipelineProgress {
            cursor: head,
            ..PipelineProgress::default()
        };
        let name = self.task.name.clone();
        let advance = move || {
            let name = name.clone();
            move |tx: &mut Tx<'_>| tx.advance_pipeline(&name, &progress)
        };
        store_until_done(&self.task.store, advance, &self.task.status, token).await?;
        self.stored = head;
        Some(())
    }

    async fn store_progress(&mut self, decided: Decided, token: &CancellationToken) -> Option<()> {
        let cursor = self.subscription.cursor();
        if cursor == self.stored && !self.batch.is_due(Timestamp::now()) {
            return Some(());
        }
        self.store(decided, cursor, token).await
    }

    /// Everything that was decided up to `cursor`, in one transaction.
    async fn store(
        &mut self,
        mut decided: Decided,
        cursor: EventId,
        token: &CancellationToken,
    ) -> Option<()> {
        let sealed = self.seal(std::mem::take(&mut decided.passed));
        let deliveries = self.deliveries(&sealed);
        failpoint::reached(Failpoint::EventsDecided);
        let handed = self.hand_over(&deliveries).await;
        let traces = NewTraces::new(std::mem::take(&mut decided.traces));
        let change = Arc::new(Change {
            traces,
            pipeline: self.task.name.clone(),
            cursor,
            skipped: self.gap.between(self.stored, cursor),
            decided,
            deliveries,
            batch: BatchChange {
                sealed_to: sealed.iter().flatten().map(|event| event.id).max(),
                added: self.batch.take_news(),
            },
            once: self.gates.once.as_mut().map(|once| OnceChange {
                passed: once.take_news(),
                cooldown: once.cooldown(),
            }),
        });
        let kept = change.clone();
        let write = move || {
            let change = kept.clone();
            move |tx: &mut Tx<'_>| change.apply(tx)
        };
        let shed = store_until_done(&self.task.store, write, &self.task.status, token).await?;
        self.stored = cursor;
        self.count_shed(&shed);
        failpoint::reached(Failpoint::DecisionsStored);
        for name in change.sinks() {
            if let Some(sink) = self.task.sink(name) {
                sink.inbox.ring();
            }
        }
        for handed in handed {
            handed.stored();
        }
        Some(())
    }

    /// A sink that has nothing to do makes its first delivery while it is stored: after a
    /// crash it is decided and made again, under the same id.
    async fn hand_over(&self, deliveries: &[NewDelivery]) -> Vec<HandedOver> {
        // A batch might have other members then, and with them another id.
        if self.task.config.throttle.batch.is_some() {
            return Vec::new();
        }
        let to_its_sink = |it: &NewDelivery| self.task.sink(&it.sink)?.inbox.hand_over(it);
        let handed: Vec<HandedOver> = deliveries.iter().filter_map(to_its_sink).collect();
        if !handed.is_empty() {
            // They begin before the disk does.
            tokio::task::yield_now().await;
            failpoint::reached(Failpoint::DeliveryHandedOver);
        }
        handed
    }

    /// Deliveries that a full queue had no room for, by their sinks.
    fn count_shed(&self, shed: &[String]) {
        for name in shed {
            if let Some(sink) = self.task.sink(name) {
                sink.metrics.deliveries.add(DeliveryEnd::Dead);
            }
        }
    }

    /// What goes to the sinks now that these events have passed.
    fn seal(&mut self, passed: Vec<PassedEvent>) -> Vec<Vec<PassedEvent>> {
        let mut sealed = Vec::new();
        for event in passed {
            sealed.extend(self.batch.push(event));
        }
        if self.batch.is_due(Timestamp::now()) {
            sealed.extend(self.batch.seal());
        }
        sealed
    }

    /// One for each batch and sink.
    fn deliveries(&self, sealed: &[Vec<PassedEvent>]) -> Vec<NewDelivery> {
        let journal = self.task.bus.head().journal;
        let pipeline = &self.task.name;
        let sinks = &self.task.config.sinks;
        let to_all = |batch: &Vec<PassedEvent>| -> Vec<NewDelivery> {
            let sinks = sinks.iter();
            sinks
                .map(|sink| seal(&journal, pipeline, sink, batch))
                .collect()
        };
        sealed.iter().flat_map(to_all).collect()
    }
}
