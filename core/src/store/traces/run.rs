use serde::{Deserialize, Serialize};

use crate::model::{EventId, PipelineTrace, StepDecision, StepTrace, Timestamp, TraceOutcome};

/// What a pipeline did with the events that it decided together: one row.
pub struct NewTraces {
    pub(super) last: EventId,
    pub(super) decided_at: Timestamp,
    pub(super) json: String,
}

/// As it is stored: what many steps have in common is there once.
#[derive(Serialize, Deserialize)]
pub(super) struct Run {
    decided_at: Timestamp,
    plugins: Vec<By>,
    events: Vec<EventTrace>,
}

/// A plugin in one of its versions, or the pipeline itself.
#[derive(PartialEq, Serialize, Deserialize)]
struct By {
    plugin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct EventTrace {
    event: EventId,
    outcome: TraceOutcome,
    steps: Vec<Step>,
}

#[derive(Serialize, Deserialize)]
struct Step {
    /// A place in the run's `plugins`.
    by: usize,
    decision: StepDecision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    duration_us: u64,
}

impl NewTraces {
    /// In the order of the journal; `None` where there are none.
    pub fn new(traces: Vec<(EventId, TraceOutcome, Vec<StepTrace>)>) -> Option<Self> {
        let last = traces.last()?.0;
        let decided_at = Timestamp::now();
        let mut plugins = Vec::new();
        let events = traces
            .into_iter()
            .map(|(event, outcome, steps)| EventTrace {
                event,
                outcome,
                steps: steps
                    .into_iter()
                    .map(|step| Step::new(step, &mut plugins))
                    .collect(),
            });
        let events = events.collect();
        let run = Run {
            decided_at,
            plugins,
            events,
        };
        Some(Self {
            last,
            decided_at,
            json: serde_json::to_string(&run).expect("a run has only string keys"),
        })
    }
}

impl Step {
    fn new(step: StepTrace, plugins: &mut Vec<By>) -> Self {
        let StepTrace {
            plugin,
            version,
            digest,
            decision,
            detail,
            duration_us,
        } = step;
        let by = By {
            plugin,
            version,
            digest,
        };
        let known = plugins.iter().position(|known| *known == by);
        Self {
            by: known.unwrap_or_else(|| {
                plugins.push(by);
                plugins.len() - 1
            }),
            decision,
            detail,
            duration_us,
        }
    }
}

impl Run {
    /// What became of one event, if it is among them.
    pub(super) fn trace(self, pipeline: String, event: EventId) -> Option<PipelineTrace> {
        let Self {
            decided_at,
            plugins,
            events,
        } = self;
        let trace = events.into_iter().find(|trace| trace.event == event)?;
        let steps = trace.steps.into_iter().filter_map(|step| {
            let By {
                plugin,
                version,
                digest,
            } = plugins.get(step.by)?;
            Some(StepTrace {
                plugin: plugin.clone(),
                version: version.clone(),
                digest: digest.clone(),
                decision: step.decision,
                detail: step.detail,
                duration_us: step.duration_us,
            })
        });
        Some(PipelineTrace {
            pipeline,
            decided_at,
            outcome: trace.outcome,
            steps: steps.collect(),
        })
    }
}
