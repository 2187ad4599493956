use std::time::Duration;

use super::{
    admission::{Admission, Admitted},
    once::OncePer,
    trail::{Said, Trail},
};
use crate::{
    events::Frame,
    failpoint::{self, Failpoint},
    model::{EventId, EventType, OnError, PluginRole, StepTrace, Timestamp, TraceOutcome},
    plugin_host::{
        event::guest_event,
        plugin::{RunError, Runner},
        sandbox::GuestEvent,
    },
    store::{NewDrop, PassedEvent, PluginWrite, StoreError},
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
    /// Those that go on to the sinks, in order.
    pub passed: Vec<PassedEvent>,
    /// How each event went; without log lines, which come in bulk.
    pub traces: Vec<(EventId, TraceOutcome, Vec<StepTrace>)>,
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
    Dropped(String),
}

/// How long a held pipeline waits before it asks a failed step again.
const HOLD_RETRY: Duration = Duration::from_secs(1);

/// What a pipeline asks besides its steps: before them, and after them.
pub(super) struct Gates {
    pub admission: Admission,
    pub once: Option<OncePer>,
}

impl Decided {
    /// Sends one event through gates and steps and adds what comes of it. On
    /// [`Undecided`] nothing was added, and nothing that a step wrote is kept.
    pub async fn decide(
        &mut self,
        frame: &Frame,
        steps: &mut [Step],
        gates: &mut Gates,
    ) -> Result<(), Undecided> {
        let Some(mut event) = readable(frame) else {
            return Ok(());
        };
        let mut trail = Trail::default();
        match gates.admission.ask(&frame.parts(), &event) {
            Admitted::Yes => {}
            Admitted::Silent => {
                trail.refused("planned", "a deploy of ours did it");
                self.trace(frame, TraceOutcome::Silent, trail);
                return Ok(());
            }
            Admitted::Refused(reason) => {
                trail.refused("startup_grace", &reason);
                self.drop(frame, "startup_grace", reason, trail);
                return Ok(());
            }
        }
        let mut annotations = serde_json::Map::new();
        for step in steps.iter_mut() {
            if step.role == PluginRole::Enricher && is_ours(frame.parts().kind) {
                continue;
            }
            match step.pass(&mut event, &mut annotations, &mut trail).await {
                Ok(Passed::On) => {}
                Err(undecided) => {
                    // It is asked again: what was written for it would be found then.
                    for step in steps {
                        step.runner.take_writes();
                    }
                    return Err(undecided);
                }
                Ok(Passed::Dropped(reason)) => {
                    self.drop(frame, step.runner.plugin(), reason, trail);
                    self.keep_rest(frame, annotations, steps);
                    return Ok(());
                }
            }
        }
        let once = gates.once.as_mut();
        if let Some(reason) = once.and_then(|once| once.ask(&event, &frame.parts())) {
            trail.refused("once_per", &reason);
            self.drop(frame, "once_per", reason, trail);
        } else {
            self.pass(frame, event, trail);
        }
        self.keep_rest(frame, annotations, steps);
        Ok(())
    }

    fn pass(&mut self, frame: &Frame, event: GuestEvent, trail: Trail) {
        self.seen += 1;
        self.passed.push(PassedEvent {
            id: frame.id(),
            json: serde_json::to_string(&event).expect("an event has only string keys"),
            subject: event.subject,
            passed_at: Timestamp::now(),
        });
        self.trace(frame, TraceOutcome::Passed, trail);
    }

    /// `by` is a plugin, or a gate of the pipeline.
    pub fn drop(&mut self, frame: &Frame, by: &str, reason: String, trail: Trail) {
        self.seen += 1;
        self.drops.push(NewDrop {
            plugin: by.to_owned(),
            event: frame.id(),
            reason,
        });
        self.trace(frame, TraceOutcome::Dropped, trail);
    }

    fn trace(&mut self, frame: &Frame, outcome: TraceOutcome, trail: Trail) {
        if frame.parts().kind != EventType::DeployLog {
            self.traces.push((frame.id(), outcome, trail.0));
        }
    }

    /// What plugins said of an event holds even if a later one drops it.
    fn keep_rest(
        &mut self,
        frame: &Frame,
        annotations: serde_json::Map<String, serde_json::Value>,
        steps: &mut [Step],
    ) {
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
        annotations: &mut serde_json::Map<String, serde_json::Value>,
        trail: &mut Trail,
    ) -> Result<Passed, Undecided> {
        let asked = match self.role {
            PluginRole::Filter => self.runner.filter(event).await.map(Said::from),
            PluginRole::Enricher => self.runner.enrich(event).await.map(Said::Added),
            PluginRole::Sink => return Ok(Passed::On),
        };
        let said = match asked {
            Err(RunError::Absent { .. }) => return Err(Undecided::Absent),
            said => said,
        };
        failpoint::reached(Failpoint::StepAnswered);
        trail.asked(&self.runner, &said);
        match said {
            Ok(Said::Keep | Said::Added(None)) => Ok(Passed::On),
            Ok(Said::Drop(reason)) => Ok(Passed::Dropped(reason)),
            Ok(Said::Added(Some(added))) => {
                annotations.insert(self.runner.plugin().to_owned(), added.into());
                event.annotations =
                    serde_json::to_string(annotations).expect("an annotation has only string keys");
                Ok(Passed::On)
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &RunError) -> Result<Passed, Undecided> {
        match self.on_error {
            OnError::Pass => Ok(Passed::On),
            OnError::Drop => Ok(Passed::Dropped(error.to_string())),
            OnError::Hold => Err(Undecided::Hold {
                reason: error.to_string(),
                retry_after: match error {
                    RunError::Resting { for_another, .. } => *for_another,
                    RunError::Fault { .. } | RunError::Absent { .. } => HOLD_RETRY,
                },
            }),
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
