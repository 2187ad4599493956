use std::sync::Arc;

use tempfile::TempDir;
use tiny_forge::{
    events::{Bus, Log, Next, Subscription},
    model::{
        Actor, DeployId, DeployLogPayload, EventType, Lane, LogStream, NewEvent, Payload, Severity,
        StageName, StepName, Subject,
    },
    store::{Amount, Retention, Store, StoreThreads, Trimmer},
};
use tokio_util::sync::CancellationToken;

use super::{note::note, wait};

/// A store and its bus, without a server.
pub struct Journal {
    pub dir: TempDir,
    pub store: Store,
    pub bus: Bus,
    writer: StoreThreads,
}

impl Journal {
    pub fn new() -> Self {
        Self::at(tempfile::tempdir().expect("temporary directory"))
    }

    pub fn at(dir: TempDir) -> Self {
        let log = Log::new();
        let (store, writer) =
            Store::open(&dir.path().join("tiny-forge.db"), &log).expect("a database");
        let bus = Bus::new(store.clone(), Arc::clone(&log));
        Self {
            dir,
            store,
            bus,
            writer,
        }
    }

    /// Ends as a process does that is told to stop.
    pub fn close(self) -> TempDir {
        let Self {
            dir,
            store,
            bus,
            writer,
        } = self;
        drop((store, bus));
        writer.join();
        dir
    }

    pub fn reopen(self) -> Self {
        Self::at(self.close())
    }

    pub async fn publish(&self, count: usize) {
        let events = (0..count).map(|n| note(&n.to_string())).collect();
        self.bus.publish_all(events).await.expect("published");
    }

    /// Lets retention work until `is_done` with all that is kept of events.
    pub async fn trim(&self, retention: Retention, is_done: impl Fn(Amount) -> bool) {
        let is_event = |kind| kind != EventType::DeployLog;
        self.trim_until(retention, async || is_done(self.kept(is_event).await))
            .await;
    }

    /// The same with what is kept of log lines.
    pub async fn trim_logs(&self, retention: Retention, is_done: impl Fn(Amount) -> bool) {
        let is_line = |kind| kind == EventType::DeployLog;
        self.trim_until(retention, async || is_done(self.kept(is_line).await))
            .await;
    }

    async fn trim_until(&self, retention: Retention, is_done: impl AsyncFn() -> bool) {
        let token = CancellationToken::new();
        let done = wait::answer(async || {
            let mut trimmer = Trimmer::new(self.store.clone(), retention);
            trimmer.trim_all(&token).await;
            is_done().await.then_some(())
        });
        done.await.expect("retention is done in time");
    }

    /// Of the types for which `is_wanted` holds.
    pub async fn kept(&self, is_wanted: impl Fn(EventType) -> bool) -> Amount {
        let kept = self.store.read(|reader| reader.kept()).await;
        let mut sum = Amount::default();
        for kept in kept.expect("readable") {
            if is_wanted(kept.kind) {
                sum.rows += kept.amount.rows;
                sum.bytes += kept.amount.bytes;
            }
        }
        sum
    }
}

pub fn log_line(deploy: i64, line: &str) -> NewEvent {
    let lane = Lane {
        project: "shop".parse().expect("a name"),
        stage: StageName::default(),
    };
    let payload = DeployLogPayload {
        deploy_id: DeployId(deploy),
        step: StepName::Gate,
        stream: LogStream::Stdout,
        line: line.into(),
        instance: None,
    };
    let subject = Subject::deploy(&lane, DeployId(deploy));
    let payload = Payload::DeployLog(payload);
    NewEvent::new(subject, Severity::Info, Actor::system("test"), payload)
}

/// The ids of the next events.
pub async fn take(subscription: &mut Subscription, count: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    while ids.len() < count {
        match subscription.next().await.expect("the journal can be read") {
            Next::Events(frames) => ids.extend(frames.iter().map(|frame| frame.id().0)),
            Next::Reset { reason, .. } => panic!("reset: {reason:?}"),
        }
    }
    ids
}
