use std::time::Duration;

use super::{
    admission::Admission,
    batch::OpenBatch,
    decide::{Decided, Gates, Step, Undecided},
    once::OncePer,
    when::{Matcher, WhenError},
};
use crate::{
    events::{Filter, Frame, FrameParts},
    model::{
        DryRunOutcome, OnError, PluginRole, StepTrace, Throttle, Timestamp, TraceOutcome, When,
    },
    plugin_host::plugin::Runner,
    store::{PassedEvent, PluginWrite},
};

/// A pipeline that decides on past events as if it were then, and stores nothing.
///
/// `once_per` begins with nothing remembered, and the starts of the past are not
/// known, so there is no grace.
pub struct DryPipeline {
    matcher: Matcher,
    steps: Vec<Step>,
    gates: Gates,
    batch: OpenBatch,
}

/// How an event went.
pub struct Considered {
    pub outcome: DryRunOutcome,
    /// Why it was dropped or held.
    pub reason: Option<String>,
    pub steps: Vec<StepTrace>,
    pub passed: Option<PassedEvent>,
    /// By plugin.
    pub writes: Vec<(String, Vec<PluginWrite>)>,
}

impl DryPipeline {
    /// `steps` are filters and enrichers, in order.
    pub fn new(
        when: &When,
        throttle: &Throttle,
        steps: Vec<(PluginRole, Runner, OnError)>,
    ) -> Result<Self, WhenError> {
        let steps = steps.into_iter().map(|(role, runner, on_error)| Step {
            role,
            runner,
            on_error,
        });
        let cooldown = throttle.cooldown_s.map(Duration::from_secs);
        Ok(Self {
            matcher: Matcher::new(when)?,
            steps: steps.collect(),
            gates: Gates {
                admission: Admission {
                    planned: when.planned,
                    grace: None,
                },
                once: cooldown
                    .map(|cooldown| OncePer::new(throttle.once_per.clone(), cooldown, Vec::new())),
            },
            batch: OpenBatch::new(throttle.batch, Vec::new()),
        })
    }

    /// What the journal can sort out by itself.
    pub fn filter(&self) -> Filter {
        self.matcher.filter()
    }

    pub fn matches(&self, parts: &FrameParts<'_>) -> bool {
        self.matcher.matches(parts)
    }

    /// Asks everybody. Who failed before is asked again: in a dry run nobody
    /// rests.
    pub async fn consider(&mut self, frame: &Frame) -> Considered {
        for step in &mut self.steps {
            step.runner.wake();
        }
        let mut decided = Decided::default();
        let asked = decided.decide(frame, &mut self.steps, &mut self.gates);
        match asked.await {
            Ok(()) => considered(decided, frame.parts().time),
            Err(undecided) => Considered {
                outcome: DryRunOutcome::Held,
                reason: Some(why(undecided)),
                steps: Vec::new(),
                passed: None,
                writes: Vec::new(),
            },
        }
    }

    /// What is sealed by an event at this time, or only by the time.
    pub fn seal(&mut self, at: Timestamp, passed: Option<PassedEvent>) -> Vec<Vec<PassedEvent>> {
        let due = self.batch.is_due(at).then(|| self.batch.seal());
        let mut sealed: Vec<_> = due.flatten().into_iter().collect();
        sealed.extend(
            passed
                .map(|event| self.batch.push(event))
                .unwrap_or_default(),
        );
        sealed
    }

    /// What waits for more when the events are over.
    pub fn rest(&mut self) -> Option<Vec<PassedEvent>> {
        self.batch.seal()
    }
}

fn considered(decided: Decided, time: Timestamp) -> Considered {
    let (traced, steps) = match decided.traces.into_iter().next() {
        Some((_, outcome, steps)) => (Some(outcome), steps),
        None => (None, Vec::new()),
    };
    let reason = decided.drops.into_iter().next().map(|drop| drop.reason);
    let outcome = match traced {
        Some(TraceOutcome::Silent) => DryRunOutcome::Silent,
        _ if reason.is_some() => DryRunOutcome::Dropped,
        _ => DryRunOutcome::Passed,
    };
    let passed = decided.passed.into_iter().next();
    Considered {
        outcome,
        reason,
        steps,
        passed: passed.map(|event| PassedEvent {
            passed_at: time,
            ..event
        }),
        writes: decided.writes,
    }
}

fn why(undecided: Undecided) -> String {
    match undecided {
        Undecided::Absent => "a plugin has gone".to_owned(),
        Undecided::Hold { reason, .. } => reason,
    }
}
