use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    PipelineStatus,
    decide::{Decided, Destination, Step, Undecided, is_ours},
    when::Matcher,
};
use crate::{
    events::{Bus, Frame, Next, Start, Subscription},
    model::{
        Actor, EventAnnotatedPayload, EventId, NewEvent, Payload, PipelineState, PluginRole,
        Severity, Subject,
    },
    plugin_host::{
        config::PipelineConfig,
        delivery::publish_status,
        plugin::{Runner, Versions},
    },
    store::{NewDrop, PipelineProgress, Store, StoreError, Tx},
};

/// Events decided before what was decided is stored.
const BATCH: usize = 64;
/// How often a cursor that only passed over events is stored.
const IDLE_STORE: Duration = Duration::from_secs(10);
const RETRY_STORE: Duration = Duration::from_millis(500);
/// Longer chains of causes are cut: plugins would answer each other for ever.
const CHAIN_MAX: u32 = 4;

/// A sink as a pipeline knows it: a name, and how to wake it.
#[derive(Clone)]
pub struct SinkQueue {
    pub name: String,
    pub wake: Arc<Notify>,
    pub versions: Versions,
}

/// One pipeline. Owns a guest of each of its steps.
pub struct PipelineTask {
    pub name: String,
    pub config: PipelineConfig,
    /// In the order of `config.steps`.
    pub steps: Vec<Runner>,
    /// In the order of `config.sinks`.
    pub sinks: Vec<SinkQueue>,
    pub status: Arc<PipelineStatus>,
    pub bus: Bus,
    pub store: Store,
}

/// A pipeline on its way through the journal.
struct Running {
    task: PipelineTask,
    matcher: Matcher,
    steps: Vec<Step>,
    sinks: Vec<String>,
    subscription: Subscription,
    /// As it is in the store.
    stored: EventId,
}

/// The next thing to do.
enum Work {
    Events(Vec<Arc<Frame>>),
    /// Retention has passed the cursor.
    Skipped {
        to: EventId,
    },
    Idle,
}

impl PipelineTask {
    /// Until cancelled; what was decided is stored when this returns.
    pub async fn run(mut self, token: CancellationToken) {
        let matcher = match Matcher::new(&self.config.when) {
            Ok(matcher) => matcher,
            Err(error) => return self.status.fail(error.to_string()),
        };
        // Opened before anything is waited for: from here on no event is missed.
        let name = self.name.clone();
        let open = move || {
            let name = name.clone();
            move |tx: &mut Tx<'_>| tx.open_pipeline(&name)
        };
        let Some(cursor) = store_until_done(&self.store, open, &token).await else {
            return;
        };
        self.status.at(cursor);
        let Some(steps) = self.start_steps(&token).await else {
            return;
        };
        let running = Running {
            subscription: self.bus.subscribe(matcher.filter(), Start::After(cursor)),
            steps,
            sinks: self.config.sinks.clone(),
            matcher,
            stored: cursor,
            task: self,
        };
        running.run(&token).await;
    }

    /// The steps, once all plugins are there. `None` when one of them cannot
    /// be used in its place, or when the pipeline is to end.
    async fn start_steps(&mut self, token: &CancellationToken) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        for (runner, step) in std::mem::take(&mut self.steps)
            .into_iter()
            .zip(&self.config.steps)
        {
            let role = self
                .role_of(&mut runner.versions(), &step.plugin, token)
                .await?;
            if role == PluginRole::Sink {
                self.status
                    .fail(format!("`{}` is a sink: name it under sinks", step.plugin));
                return None;
            }
            steps.push(Step {
                role,
                runner,
                on_error: step.on_error,
            });
        }
        for sink in &self.sinks {
            let role = self
                .role_of(&mut sink.versions.clone(), &sink.name, token)
                .await?;
            if role != PluginRole::Sink {
                let role = role.as_str();
                self.status
                    .fail(format!("`{}` is a {role}: name it under steps", sink.name));
                return None;
            }
        }
        Some(steps)
    }

    async fn role_of(
        &self,
        versions: &mut Versions,
        plugin: &str,
        token: &CancellationToken,
    ) -> Option<PluginRole> {
        until_present(versions, plugin, &self.status, token).await?;
        let version = versions.borrow().clone()?;
        Some(version.module.role())
    }
}

/// Waits, visibly, until a plugin can be used.
async fn until_present(
    versions: &mut Versions,
    plugin: &str,
    status: &PipelineStatus,
    token: &CancellationToken,
) -> Option<()> {
    if versions.borrow().is_some() {
        return Some(());
    }
    status.set(
        PipelineState::Paused,
        Some(format!("waits for plugin `{plugin}`")),
    );
    tokio::select! {
        () = token.cancelled() => None,
        found = versions.wait_for(Option::is_some) => found.ok().map(drop),
    }
}

impl Running {
    async fn run(mut self, token: &CancellationToken) {
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
            self.task.status.at(self.subscription.cursor());
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
    async fn decide_all(&mut self, frames: &[Arc<Frame>], token: &CancellationToken) -> Option<()> {
        let journal = self.task.bus.head().journal;
        for (index, batch) in frames.chunks(BATCH).enumerate() {
            let mut decided = Decided::default();
            let mut last = None;
            for frame in batch {
                if self.matcher.matches(frame.parts()) {
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
        for sink in sinks {
            sink.wake.notify_one();
        }
        Some(())
    }
}

/// One transaction of a pipeline.
struct Change {
    pipeline: String,
    /// Those that get deliveries.
    sinks: Vec<String>,
    cursor: EventId,
    decided: Decided,
}

impl Change {
    fn apply(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let Decided {
            seen,
            drops,
            annotations,
            deliveries,
            writes,
        } = &self.decided;
        for delivery in deliveries {
            tx.insert_delivery(delivery)?;
        }
        for sink in &self.sinks {
            for shed in tx.shed_overflow(sink)? {
                publish_status(tx, &shed, Severity::Error)?;
            }
        }
        tx.add_drops(&self.pipeline, drops)?;
        for annotation in annotations {
            tx.annotate(
                annotation.event,
                &annotation.plugin,
                &annotation.json.to_string(),
            )?;
            tx.publish(annotated(annotation))?;
        }
        for (plugin, writes) in writes {
            tx.apply_plugin_writes(plugin, writes)?;
        }
        tx.advance_pipeline(
            &self.pipeline,
            &PipelineProgress {
                cursor: self.cursor,
                seen: *seen,
                dropped: drops.len() as i64,
                skipped: 0,
            },
        )
    }
}

fn annotated(annotation: &super::decide::Annotation) -> NewEvent {
    let fields = match &annotation.json {
        serde_json::Value::Object(fields) => fields.clone().into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let payload = Payload::EventAnnotated(EventAnnotatedPayload {
        event: annotation.event,
        plugin: annotation.plugin.clone(),
        annotations: fields,
    });
    NewEvent::new(
        Subject::other(format!("plugins/{}", annotation.plugin)),
        Severity::Debug,
        Actor::plugin(&annotation.plugin),
        payload,
    )
    .caused_by(Some(annotation.event))
}

/// Writes, and goes on trying while the store is busy or the disk is full.
/// `None` when cancelled before it was done.
async fn store_until_done<T, F>(
    store: &Store,
    change: impl Fn() -> F,
    token: &CancellationToken,
) -> Option<T>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
{
    loop {
        match store.write(change()).await {
            Ok(done) => return Some(done),
            Err(StoreError::Closed) => return None,
            Err(error) => {
                tracing::warn!(%error, "a pipeline waits for the store");
                sleep_unless(RETRY_STORE, token).await?;
            }
        }
    }
}

async fn sleep_unless(time: Duration, token: &CancellationToken) -> Option<()> {
    tokio::select! {
        () = token.cancelled() => None,
        () = tokio::time::sleep(time) => Some(()),
    }
}
