use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select, select_all};
use tokio_util::sync::CancellationToken;

use super::{
    PipelineStatus,
    admission::Admission,
    batch::OpenBatch,
    decide::{Gates, Step},
    gap::Gap,
    once::OncePer,
    patience::store_until_done,
    run::Running,
    when::Matcher,
};
use crate::{
    events::{Bus, Gaps, Start},
    model::{EventId, PipelineState, PluginRole, Timestamp},
    plugin_host::{
        config::PipelineConfig,
        delivery::Inbox,
        metrics::Metrics,
        plugin::{Runner, Version, Versions},
    },
    store::{PassedEvent, Store, Tx},
};

/// A sink as a pipeline knows it.
#[derive(Clone)]
pub struct SinkQueue {
    pub name: String,
    pub inbox: Arc<Inbox>,
    pub versions: Versions,
    pub metrics: Arc<Metrics>,
}

/// What a pipeline knew when it ended.
struct Memory {
    cursor: EventId,
    batch: Vec<PassedEvent>,
    passed: Vec<(String, Timestamp)>,
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
    pub server_started_at: Timestamp,
}

impl PipelineTask {
    /// Until cancelled; what was decided is stored when this returns.
    pub async fn run(self, token: CancellationToken) {
        let matcher = match Matcher::new(&self.config.when) {
            Ok(matcher) => matcher,
            Err(error) => return self.status.fail(error.to_string()),
        };
        // Opened before anything is waited for: from here on no event is missed.
        let (name, sinks) = (self.name.clone(), self.config.sinks.clone());
        let open = move || {
            let (name, sinks) = (name.clone(), sinks.clone());
            move |tx: &mut Tx<'_>| {
                Ok(Memory {
                    cursor: tx.open_pipeline(&name, &sinks)?,
                    batch: tx.batch_members(&name)?,
                    passed: tx.once_keys(&name)?,
                })
            }
        };
        let Some(memory) = store_until_done(&self.store, open, &self.status, &token).await else {
            return;
        };
        let Memory {
            cursor,
            batch,
            passed,
        } = memory;
        let (status, sinks) = (self.status.clone(), self.sinks.clone());
        let running = Running {
            subscription: self.bus.subscribe_over(
                matcher.filter(),
                Start::After(cursor),
                Gaps::Tell,
            ),
            steps: Vec::new(),
            gates: self.gates(passed),
            batch: OpenBatch::new(self.config.throttle.batch, batch),
            matcher,
            stored: cursor,
            gap: Gap::default(),
            task: self,
        };
        let token = token.child_token();
        let run = pin!(running.run(&token));
        let misplaced = pin!(until_misplaced(&sinks));
        if let Either::Left((error, run)) = select(misplaced, run).await {
            // What was decided by then is stored as ever.
            token.cancel();
            run.await;
            status.fail(error);
        }
    }

    pub(super) fn sink(&self, name: &str) -> Option<&SinkQueue> {
        self.sinks.iter().find(|sink| sink.name == name)
    }

    fn gates(&self, passed: Vec<(String, Timestamp)>) -> Gates {
        let throttle = &self.config.throttle;
        let grace = throttle.startup_grace_s.map(Duration::from_secs);
        let cooldown = throttle.cooldown_s.map(Duration::from_secs);
        Gates {
            admission: Admission {
                planned: self.config.when.planned,
                grace: grace.map(|grace| (self.server_started_at, grace)),
            },
            once: cooldown
                .map(|cooldown| OncePer::new(throttle.once_per.clone(), cooldown, passed)),
        }
    }

    /// The steps, once all their plugins are there. `None` when one of them cannot be used
    /// in its place, or when the pipeline is to end. May be dropped at any await.
    pub(super) async fn start_steps(&mut self, token: &CancellationToken) -> Option<Vec<Step>> {
        let mut roles = Vec::new();
        for (runner, step) in self.steps.iter().zip(&self.config.steps) {
            let version = self
                .version_of(&mut runner.versions(), &step.plugin, token)
                .await?;
            let role = version.module.role();
            if role == PluginRole::Sink {
                self.status.fail(version.misplaced(&step.plugin));
                return None;
            }
            roles.push(role);
        }
        let runners = std::mem::take(&mut self.steps).into_iter();
        let steps = runners.zip(&self.config.steps).zip(roles);
        let steps = steps.map(|((runner, step), role)| Step {
            role,
            runner,
            on_error: step.on_error,
        });
        Some(steps.collect())
    }

    async fn version_of(
        &self,
        versions: &mut Versions,
        plugin: &str,
        token: &CancellationToken,
    ) -> Option<Arc<Version>> {
        loop {
            until_present(versions, plugin, &self.status, token).await?;
            let version = versions.borrow().clone();
            // It may have gone again in between.
            if version.is_some() {
                return version;
            }
        }
    }
}

/// Waits until a plugin that is named as a sink turns out to be none. A sink that is not
/// there yet is not waited for: what is for it waits in its queue.
async fn until_misplaced(sinks: &[SinkQueue]) -> String {
    let told = sinks.iter().map(|sink| {
        Box::pin(async move {
            let mut versions = sink.versions.clone();
            let known = versions.wait_for(Option::is_some).await;
            let version = known.map(|version| version.clone()).ok().flatten();
            match version {
                Some(version) if version.module.role() != PluginRole::Sink => {
                    version.misplaced(&sink.name)
                }
                // A plugin keeps its role.
                Some(_) | None => std::future::pending().await,
            }
        })
    });
    select_all(told).await.0
}

/// Waits, visibly, until a plugin can be used.
pub(super) async fn until_present(
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
