//! What a deploy writes about itself: steps, status, log lines, each with its
//! event in one transaction.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::log_budget::LogBudget;
use crate::{
    events::Bus,
    model::{
        Actor, DeployId, DeployLogPayload, DeployStatus, DeployStatusPayload, EventId, Failure,
        Lane, LogStream, NewEvent, Payload, Plan, PullProgress, Severity, StepName, StepStatus,
        Strategy, Subject, Timestamp,
    },
    scrub::Scrubber,
    store::{RETRY_STORE, Reader, Store, StoreError, Tx},
};

/// Who said it, when, and what.
pub(super) type Line = (LogStream, Timestamp, String);

/// The pen of one deploy; cheap to clone.
#[derive(Clone)]
pub(super) struct Journal {
    store: Store,
    bus: Bus,
    head: Arc<Head>,
    scrubber: Scrubber,
    state: Arc<Mutex<State>>,
}

/// What all events of a deploy have in common.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: DeployId,
    pub(super) lane: Lane,
    pub(super) generation: i64,
    pub(super) image: String,
    pub(super) actor: Actor,
    pub(super) rolls_back_to: Option<DeployId>,
}

impl Head {
    pub(super) fn status_event(
        &self,
        severity: Severity,
        status: DeployStatus,
        fill: impl FnOnce(&mut DeployStatusPayload),
    ) -> NewEvent {
        let mut payload = DeployStatusPayload {
            deploy_id: self.id,
            project: self.lane.project.clone(),
            stage: self.lane.stage.clone(),
            generation: self.generation,
            status,
            image: self.image.clone(),
            image_labels: BTreeMap::new(),
            digest: None,
            rolls_back_to: self.rolls_back_to,
            step: None,
            step_status: None,
            duration_ms: None,
            message: None,
            strategy: None,
            plan: None,
            progress: None,
            failure: None,
            replaces: None,
            recovered: false,
        };
        fill(&mut payload);
        self.event(severity, Payload::DeployStatus(Box::new(payload)))
    }

    fn event(&self, severity: Severity, payload: Payload) -> NewEvent {
        let subject = Subject::deploy(&self.lane, self.id);
        NewEvent::new(subject, severity, self.actor.clone(), payload)
    }
}

/// What is known of the image once it is here.
#[derive(Debug, Clone, Default)]
pub(super) struct ImageFacts {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) digest: Option<String>,
}

struct State {
    status: DeployStatus,
    step: StepName,
    strategy: Option<Strategy>,
    image: ImageFacts,
    started: Timestamp,
    log: LogBudget,
}

impl Journal {
    pub(super) fn new(store: Store, bus: Bus, head: Head, scrubber: Scrubber) -> Self {
        let state = State {
            status: DeployStatus::Queued,
            step: StepName::Plan,
            strategy: None,
            image: ImageFacts::default(),
            started: Timestamp::now(),
            log: LogBudget::default(),
        };
        let state = Arc::new(Mutex::new(state));
        Self {
            store,
            bus,
            head: Arc::new(head),
            scrubber,
            state,
        }
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    pub(super) fn scrub(&self, text: String) -> String {
        self.scrubber.scrub(text)
    }

    /// From now on its events tell that.
    pub(super) fn image_is(&self, image: ImageFacts) {
        self.lock().image = image;
    }

    /// Intent. False when somebody has ended the deploy meanwhile.
    pub(super) async fn start_step(&self, step: StepName) -> Result<bool, StoreError> {
        let status = status_of(step);
        {
            let mut state = self.lock();
            (state.step, state.status, state.started) = (step, status, Timestamp::now());
        }
        let event = self.event(Severity::Info, |payload| {
            payload.step = Some(step);
            payload.step_status = Some(StepStatus::Running);
        });
        let id = self.head.id;
        self.store
            .write(move |tx| {
                let open = tx.start_step(id, step, status)?;
                if open {
                    tx.publish(event)?;
                }
                Ok(open)
            })
            .await
    }

    /// Result, with whatever else belongs to it in the same transaction.
    pub(super) async fn end_step(
        &self,
        step: StepName,
        status: StepStatus,
        message: Option<String>,
        also: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let message = message.map(|message| self.scrub(message));
        let started = self.lock().started;
        let failed = status == StepStatus::Failed;
        let severity = if failed {
            Severity::Warning
        } else {
            Severity::Info
        };
        let event = self.event(severity, |payload| {
            payload.step = Some(step);
            payload.step_status = Some(status);
            payload.duration_ms = Some(Timestamp::now().ms_since(started));
            payload.message.clone_from(&message);
        });
        let id = self.head.id;
        self.store
            .write(move |tx| {
                also(tx)?;
                tx.end_step(id, step, status, message.as_deref())?;
                tx.publish(event).map(drop)
            })
            .await
    }

    /// Decided by a server that was stopped meanwhile.
    pub(super) fn goes_on_with(&self, strategy: Strategy) {
        self.lock().strategy = Some(strategy);
    }

    pub(super) async fn planned(&self, plan: &Plan, steps: &[StepName]) -> Result<(), StoreError> {
        self.lock().strategy = Some(plan.strategy);
        let event = self.event(Severity::Info, |payload| payload.plan = Some(plan.clone()));
        let (id, plan, steps) = (self.head.id, plan.clone(), steps.to_vec());
        self.store
            .write(move |tx| {
                tx.set_plan(id, &plan, &steps)?;
                tx.publish(event).map(drop)
            })
            .await
    }

    /// Of passing interest: dropped when the queue is full.
    pub(super) fn progress(&self, progress: PullProgress) {
        let event = self.event(Severity::Debug, |payload| {
            payload.step = Some(StepName::Pull);
            payload.step_status = Some(StepStatus::Running);
            payload.progress = Some(progress);
        });
        drop(self.bus.publish(event));
    }

    /// The last event of the deploy, and its end in the table.
    pub(super) async fn finish(
        &self,
        status: DeployStatus,
        reason: Option<String>,
        failure: Option<Failure>,
        also: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<EventId, StoreError> {
        self.lock().status = status;
        let reason = reason.map(|reason| self.scrub(reason));
        let failure = failure.map(|failure| self.scrub_failure(failure));
        let severity = match status {
            DeployStatus::Failed | DeployStatus::RolledBack => Severity::Error,
            DeployStatus::Cancelled => Severity::Warning,
            _ => Severity::Info,
        };
        let (replaces, recovered) = match status {
            DeployStatus::Succeeded => self.what_was_before().await?,
            _ => (None, false),
        };
        let event = self.event(severity, |payload| {
            payload.replaces = replaces;
            payload.recovered = recovered;
            payload.message.clone_from(&reason);
            payload.failure.clone_from(&failure);
        });
        let id = self.head.id;
        self.store
            .write(move |tx| {
                also(tx)?;
                let last = tx.publish(event)?;
                tx.finish_deploy(id, status, reason.as_deref(), failure.as_ref(), last)?;
                Ok(last)
            })
            .await
    }

    /// The last one that succeeded, and whether a failure came after it.
    async fn what_was_before(&self) -> Result<(Option<DeployId>, bool), StoreError> {
        let head = self.head.clone();
        let read = move |reader: &Reader<'_>| {
            let succeeded = reader.succeeded_before(&head.lane, head.generation)?;
            Ok((succeeded, reader.failed_before(&head.lane, head.id)?))
        };
        self.store.read(read).await
    }

    /// What whoever asked for its end gave as the reason.
    pub(super) async fn why_cancelled(&self) -> Result<String, StoreError> {
        let id = self.head.id;
        let reason = self
            .store
            .read(move |reader| reader.cancel_reason(id))
            .await?;
        Ok(reason.unwrap_or_else(|| "cancelled".to_owned()))
    }

    /// The newest line that an instance of this deploy said.
    pub(super) async fn heard_until(&self) -> Option<Timestamp> {
        let id = self.head.id;
        let newest = self
            .store
            .read(move |reader| reader.newest_output(id))
            .await;
        newest.ok().flatten()
    }

    /// A line of our own in the log.
    pub(super) async fn say(&self, line: impl Into<String>) -> Result<(), StoreError> {
        let line = (LogStream::System, Timestamp::now(), line.into());
        let events = self.log_events(vec![line], None);
        self.publish_lines(events).await
    }

    /// Lines of an instance. Waits for room, also on the disk: the engine keeps what
    /// comes meanwhile.
    pub(super) async fn output(&self, lines: Vec<Line>, instance: &str) -> Result<(), StoreError> {
        let events = self.log_events(lines, Some(instance));
        loop {
            match self.publish_lines(events.clone()).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                Err(error) => tracing::warn!(%error, "lines of a deploy's log wait"),
            }
            tokio::time::sleep(RETRY_STORE).await;
        }
    }

    async fn publish_lines(&self, events: Vec<NewEvent>) -> Result<(), StoreError> {
        if events.is_empty() {
            Ok(())
        } else {
            self.bus.publish_all(events).await
        }
    }

    fn log_events(&self, lines: Vec<Line>, instance: Option<&str>) -> Vec<NewEvent> {
        let events = lines.into_iter().filter_map(|(stream, time, line)| {
            let (step, line) = self.within_limit(line)?;
            let payload = DeployLogPayload {
                deploy_id: self.head.id,
                step,
                stream,
                line: self.scrub(line),
                instance: instance.map(str::to_owned),
            };
            let payload = Payload::DeployLog(payload);
            Some(self.head.event(Severity::Info, payload).at(time))
        });
        events.collect()
    }

    fn within_limit(&self, line: String) -> Option<(StepName, String)> {
        let mut state = self.lock();
        let line = state.log.admit(line)?;
        Some((state.step, line))
    }

    fn scrub_failure(&self, failure: Failure) -> Failure {
        Failure {
            reason: self.scrub(failure.reason),
            health_output: failure.health_output.map(|output| self.scrub(output)),
            log_tail: failure
                .log_tail
                .into_iter()
                .map(|line| self.scrub(line))
                .collect(),
            ..failure
        }
    }

    fn event(&self, severity: Severity, fill: impl FnOnce(&mut DeployStatusPayload)) -> NewEvent {
        let state = self.lock();
        let (status, image, strategy) = (state.status, state.image.clone(), state.strategy);
        drop(state);
        self.head.status_event(severity, status, |payload| {
            payload.image_labels = image.labels;
            payload.digest = image.digest;
            payload.strategy = strategy;
            fill(payload);
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn status_of(step: StepName) -> DeployStatus {
    match step {
        StepName::Plan => DeployStatus::Planning,
        StepName::Pull => DeployStatus::Pulling,
        StepName::Create => DeployStatus::Creating,
        StepName::Start => DeployStatus::Starting,
        StepName::Gate => DeployStatus::Gating,
        StepName::Replace => DeployStatus::Replacing,
        StepName::Drain => DeployStatus::Draining,
        StepName::Bake => DeployStatus::Baking,
        StepName::Retire => DeployStatus::Retiring,
        StepName::Restore => DeployStatus::Restoring,
        StepName::Rollback => DeployStatus::RollingBack,
    }
}
