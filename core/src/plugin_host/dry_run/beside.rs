use std::collections::{BTreeSet, HashMap};

use super::candidate::What;
use crate::{
    events::Frame,
    model::{
        Delivery, DryRunOutcome, EventId, PipelineTrace, StepDecision, StepTrace, TraceOutcome,
    },
    store::{DeliveryQuery, Store, StoreError},
};

/// Deliveries that are looked through, the newest first.
pub(super) const DELIVERIES_MAX: usize = 10_000;
/// Of those that held the same event.
const DELIVERIES_SHOWN: usize = 5;

/// Finds what really happened, to be put beside what would have.
pub(super) struct Beside {
    of: Of,
}

enum Of {
    Pipeline(String),
    Plugin(String),
}

/// What really happened to one event.
pub(super) struct Really {
    pub traces: Vec<PipelineTrace>,
    /// Whether a whole pipeline is compared, or only a step of some.
    whole: bool,
}

/// By sink and event.
pub(super) struct Made {
    deliveries: Vec<Delivery>,
    by_event: HashMap<EventId, Vec<usize>>,
    /// There are older ones.
    is_cut: bool,
}

impl Beside {
    pub fn of(tried: &What) -> Self {
        let of = match tried {
            What::Plugin { name, .. } => Of::Plugin(name.clone()),
            What::Pipeline { name, .. } => Of::Pipeline(name.clone()),
        };
        Self { of }
    }

    pub const fn is_of_one_plugin(&self) -> bool {
        matches!(self.of, Of::Plugin(_))
    }

    /// One for each event.
    pub async fn look_up(
        &self,
        store: &Store,
        frames: &[Frame],
    ) -> Result<Vec<Really>, StoreError> {
        let ids: Vec<EventId> = frames.iter().map(Frame::id).collect();
        let traces = store.read(move |reader| {
            let traces = ids.into_iter().map(|id| reader.traces(id));
            traces.collect::<Result<Vec<_>, _>>()
        });
        let traces = traces.await?;
        Ok(traces.into_iter().map(|it| self.pick(it)).collect())
    }

    fn pick(&self, traces: Vec<PipelineTrace>) -> Really {
        let traces = traces.into_iter();
        match &self.of {
            Of::Pipeline(name) => Really {
                traces: traces.filter(|trace| trace.pipeline == *name).collect(),
                whole: true,
            },
            Of::Plugin(name) => Really {
                traces: traces.filter_map(|trace| only(trace, name)).collect(),
                whole: false,
            },
        }
    }

    pub async fn deliveries(&self, store: &Store, sinks: Vec<String>) -> Result<Made, StoreError> {
        let pipelines = match &self.of {
            Of::Pipeline(name) => vec![name.clone()],
            Of::Plugin(_) => Vec::new(),
        };
        let query = DeliveryQuery {
            sinks,
            pipelines,
            statuses: Vec::new(),
            before: None,
            limit: DELIVERIES_MAX,
        };
        let found = store.read(move |reader| reader.deliveries(&query));
        let (deliveries, older) = found.await?;
        let mut by_event: HashMap<EventId, Vec<usize>> = HashMap::new();
        for (index, delivery) in deliveries.iter().enumerate() {
            for event in &delivery.events {
                by_event.entry(*event).or_default().push(index);
            }
        }
        Ok(Made {
            deliveries,
            by_event,
            is_cut: older.is_some(),
        })
    }
}

/// A pipeline's trace as far as it is about one plugin.
fn only(trace: PipelineTrace, plugin: &str) -> Option<PipelineTrace> {
    let steps = trace.steps.into_iter();
    let steps: Vec<StepTrace> = steps.filter(|step| step.plugin == plugin).collect();
    (!steps.is_empty()).then_some(PipelineTrace { steps, ..trace })
}

impl Really {
    /// Whether the plugin said something else; of a pipeline, whether the outcome
    /// or what was added was otherwise. What nobody remembers does not differ.
    pub fn differs(&self, outcome: DryRunOutcome, steps: &[StepTrace]) -> bool {
        self.traces.iter().any(|trace| {
            if self.whole {
                !is_same(trace.outcome, outcome) || !added(&trace.steps).eq(added(steps))
            } else {
                !trace.steps.iter().map(said).eq(steps.iter().map(said))
            }
        })
    }
}

fn said(step: &StepTrace) -> (&str, StepDecision, Option<&str>) {
    (&step.plugin, step.decision, step.detail.as_deref())
}

fn added(steps: &[StepTrace]) -> impl Iterator<Item = (&str, StepDecision, Option<&str>)> {
    let steps = steps.iter().map(said);
    steps.filter(|(_, decision, _)| *decision == StepDecision::Added)
}

fn is_same(real: TraceOutcome, dry: DryRunOutcome) -> bool {
    match real {
        TraceOutcome::Passed => dry == DryRunOutcome::Passed,
        TraceOutcome::Dropped => dry == DryRunOutcome::Dropped,
        TraceOutcome::Silent => dry == DryRunOutcome::Silent,
    }
}

impl Made {
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Those to a sink that held one of the events, newest first.
    pub fn of(&self, sink: &str, events: &[EventId]) -> Vec<Delivery> {
        let indices = events.iter().filter_map(|event| self.by_event.get(event));
        let indices: BTreeSet<usize> = indices.flatten().copied().collect();
        let found = indices.into_iter().map(|index| &self.deliveries[index]);
        found
            .filter(|delivery| delivery.sink == sink)
            .take(DELIVERIES_SHOWN)
            .cloned()
            .collect()
    }
}
