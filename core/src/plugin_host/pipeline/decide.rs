use std::time::Duration;

use crate::{
    events::Frame,
    model::{EventId, EventType, OnError, PluginRole},
    plugin_host::{
        delivery::delivery_id,
        event::guest_event,
        plugin::{RunError, Runner},
        sandbox::{Decision, GuestEvent},
    },
    store::{NewDelivery, NewDrop, PluginWrite, StoreError},
};

/// A filter or enricher at its place in the pipeline.
pub(super) struct Step {
    pub role: PluginRole,
    pub runner: Runner,
    pub on_error: OnError,
}

/// What was decided about some events; stored in one transaction.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub seen: i64,
    pub drops: Vec<NewDrop>,
    pub annotations: Vec<Annotation>,
    pub deliveries: Vec<NewDelivery>,
    /// By plugin.
    pub writes: Vec<(String, Vec<PluginWrite>)>,
}

/// What an enricher found out about an event.
#[derive(Debug, Clone)]
pub(super) struct Annotation {
    pub event: EventId,
    pub plugin: String,
    pub json: serde_json::Value,
}

/// Why an event cannot be decided now; it is asked again later.
#[derive(Debug)]
pub(super) enum Undecided {
    /// A plugin has gone: wait until it is there.
    Absent,
    /// A step fails, and the operator wants the pipeline to wait for it.
    Hold {
        reason: String,
        retry_after: Duration,
    },
}

/// How an event left a step.
enum Passed {
    On,
    Dropped(NewDrop),
}

/// How long a held pipeline waits before it asks a failed step again.
const HOLD_RETRY: Duration = Duration::from_secs(1);

/// The constant part of the deliveries' ids and rows.
pub(super) struct Destination<'a> {
    pub journal: &'a str,
    pub pipeline: &'a str,
    pub sinks: &'a [String],
}

impl Decided {
    /// Sends one event through the steps and adds what comes of it. On
    /// [`Undecided`] nothing was added.
    pub async fn decide(
        &mut self,
        frame: &Frame,
        steps: &mut [Step],
        to: &Destination<'_>,
    ) -> Result<(), Undecided> {
        let Some(mut event) = readable(frame) else {
            return Ok(());
        };
        let mut annotations = serde_json::Map::new();
        for step in steps.iter_mut() {
            if step.role == PluginRole::Enricher && is_ours(frame.parts().kind) {
                continue;
            }
            match step.pass(&mut event, frame.id(), &mut annotations).await? {
                Passed::On => {}
                Passed::Dropped(drop) => {
                    self.drops.push(drop);
                    self.finish(frame, annotations, steps);
                    return Ok(());
                }
            }
        }
        let input = serde_json::to_string(&[&event]).expect("an event has only string keys");
        self.deliveries
            .extend(to.sinks.iter().map(|sink| NewDelivery {
                id: delivery_id(to.journal, &[frame.id()], to.pipeline, sink),
                pipeline: to.pipeline.to_owned(),
                sink: sink.clone(),
                subject: event.subject.clone(),
                events: vec![frame.id()],
                input: input.clone(),
            }));
        self.finish(frame, annotations, steps);
        Ok(())
    }

    fn finish(
        &mut self,
        frame: &Frame,
        annotations: serde_json::Map<String, serde_json::Value>,
        steps: &mut [Step],
    ) {
        self.seen += 1;
        let annotated = annotations.into_iter().map(|(plugin, json)| Annotation {
            event: frame.id(),
            plugin,
            json,
        });
        self.annotations.extend(annotated);
        for step in steps {
            let writes = step.runner.take_writes();
            if !writes.is_empty() {
                self.writes.push((step.runner.plugin().to_owned(), writes));
            }
        }
    }
}

impl Step {
    async fn pass(
        &mut self,
        event: &mut GuestEvent,
        id: EventId,
        annotations: &mut serde_json::Map<String, serde_json::Value>,
    ) -> Result<Passed, Undecided> {
        let answer = match self.role {
            PluginRole::Filter => self
                .runner
                .filter(event)
                .await
                .map(|decision| match decision {
                    Decision::Keep => Passed::On,
                    Decision::Drop(reason) => Passed::Dropped(self.drop(id, reason)),
                }),
            PluginRole::Enricher => self.runner.enrich(event).await.map(|added| {
                if let Some(added) = added {
                    annotations.insert(self.runner.plugin().to_owned(), added.into());
                    event.annotations = serde_json::to_string(annotations)
                        .expect("an annotation has only string keys");
                }
                Passed::On
            }),
            PluginRole::Sink => Ok(Passed::On),
        };
        match answer {
            Ok(passed) => Ok(passed),
            Err(RunError::Absent { .. }) => Err(Undecided::Absent),
            Err(error) => self.failed(id, &error),
        }
    }

    fn failed(&self, id: EventId, error: &RunError) -> Result<Passed, Undecided> {
        match self.on_error {
            OnError::Pass => Ok(Passed::On),
            OnError::Drop => Ok(Passed::Dropped(self.drop(id, error.to_string()))),
            OnError::Hold => Err(Undecided::Hold {
                reason: error.to_string(),
                retry_after: match error {
                    RunError::Resting { for_another, .. } => *for_another,
                    RunError::Fault { .. } | RunError::Absent { .. } => HOLD_RETRY,
                },
            }),
        }
    }

    fn drop(&self, event: EventId, reason: String) -> NewDrop {
        NewDrop {
            plugin: self.runner.plugin().to_owned(),
            event,
            reason,
        }
    }
}

/// Facts that plugins cause are never enriched: that would never end.
pub(super) const fn is_ours(kind: EventType) -> bool {
    matches!(
        kind,
        EventType::EventAnnotated | EventType::PluginStatus | EventType::DeliveryStatus
    )
}

/// An event that cannot be read is skipped, visibly, not stumbled over for ever.
fn readable(frame: &Frame) -> Option<GuestEvent> {
    guest_event(frame)
        .map_err(|error: StoreError| {
            tracing::error!(event = %frame.id(), %error, "an event cannot be shown to plugins");
        })
        .ok()
}
