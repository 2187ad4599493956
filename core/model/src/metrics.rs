use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a plugin has done since the server started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Calls {
    pub total: u64,
    /// Calls and starts that trapped, ran out of a limit or answered nonsense, and
    /// files that could not be taken.
    pub faults: u64,
    /// The same by what it was, e.g. `over_cpu`.
    pub faults_by_kind: BTreeMap<String, u64>,
    /// Events that a filter dropped.
    pub drops: u64,
    /// Duration of calls, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<f64>,
}

/// Linear memory of a plugin's instances: one for each place that uses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginMemory {
    pub guests: u64,
    /// Of all of them.
    pub bytes: u64,
    /// The most that one has had.
    pub peak_bytes: u64,
}

/// What a sink's attempts to deliver have come to since the server started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryCounts {
    pub sent: u64,
    /// Attempts that are made again, or go on in parts.
    pub failed: u64,
    /// Given up.
    pub dead: u64,
}
