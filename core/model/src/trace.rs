use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Delivery, EventId, Timestamp};

/// What became of an event in the pipelines that looked at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    pub event: EventId,
    /// Kept for a day; in the order in which they decided.
    pub pipelines: Vec<PipelineTrace>,
    /// Those that hold the event, newest first.
    pub deliveries: Vec<Delivery>,
}

/// What one pipeline did with an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineTrace {
    pub pipeline: String,
    pub decided_at: Timestamp,
    pub outcome: TraceOutcome,
    /// In the order in which they were asked.
    pub steps: Vec<StepTrace>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceOutcome {
    /// It went on to the sinks.
    Passed,
    Dropped,
    /// A deploy of ours caused it: the pipeline took no notice.
    Silent,
}

/// What one plugin, or the pipeline itself, said of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepTrace {
    /// Or `planned`, `startup_grace`, `once_per`.
    pub plugin: String,
    /// Of the plugin that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SHA-256 of its file, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    pub decision: StepDecision,
    /// Why it dropped the event, how it failed, or the JSON that it added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    pub duration_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepDecision {
    Keep,
    Drop,
    /// It added an annotation.
    Added,
    /// It had nothing to add.
    Nothing,
    /// It failed; `on_error` decided.
    Failed,
}
