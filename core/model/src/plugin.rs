use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Calls, DeliveryCounts, EventId, PluginMemory, Severity, Timestamp};

/// What a plugin does with events; one role per component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginRole {
    /// Decides whether an event goes on in its pipeline.
    Filter,
    /// Adds facts to an event.
    Enricher,
    /// Sends events somewhere.
    Sink,
}

impl PluginRole {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Enricher => "enricher",
            Self::Sink => "sink",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginState {
    /// A file that no configuration uses yet.
    NotConfigured,
    /// The first version is being compiled and checked.
    Loading,
    Running,
    /// It could never be started; `error` says why.
    Failed,
    /// It failed too often in a row and rests.
    Quarantined,
    /// Its file is gone; what uses it waits.
    Missing,
}

impl PluginState {
    pub const ALL: [Self; 6] = [
        Self::NotConfigured,
        Self::Loading,
        Self::Running,
        Self::Failed,
        Self::Quarantined,
        Self::Missing,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Loading => "loading",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
            Self::Missing => "missing",
        }
    }
}

/// A configured plugin, or a file that waits for its configuration.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Plugin {
    pub name: String,
    /// File in the plugins folder, or `builtin:<name>`.
    pub file: String,
    pub state: PluginState,
    /// Why it does not run, or why its newest change was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When a quarantined one is asked again by itself, at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<PluginRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Version of the plugin contract that it was built for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// SHA-256 of the running file, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded_at: Option<Timestamp>,
    /// JSON Schema of its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_schema: Option<serde_json::Value>,
    pub asked: Asked,
    pub granted: Granted,
    /// Lines to add to the configuration, for what it asks and does not have.
    pub missing_grants: Vec<String>,
    /// What to put into a TOML file to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggested_toml: Option<String>,
    pub calls: Calls,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<LastFault>,
    pub memory: PluginMemory,
    /// How many, by outcome: `2xx` and the like, `denied`, `invalid`, `timeout`,
    /// `connection`.
    pub http_requests: BTreeMap<String, u64>,
    /// Of a sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<DeliveryCounts>,
    /// Of a sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<SinkQueue>,
    /// What it said of late, oldest first.
    pub recent_log: Vec<PluginLogLine>,
}

/// How a call failed last, since the server started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastFault {
    pub at: Timestamp,
    /// With the beginning of the digest of its file.
    pub version: String,
    /// As `faults_by_kind` names it.
    pub kind: String,
    /// With the plugin's own frames where it trapped.
    pub text: String,
}

/// What was granted at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantedNow {
    /// Origins.
    pub http: Vec<String>,
    /// Names of those in the sealed store that it is given under the same name.
    pub secrets: Vec<String>,
    /// What it asks for besides, as lines to add by hand.
    pub left: Vec<String>,
}

/// What a plugin asks the operator for. Asking grants nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Asked {
    /// Origins it wants to reach.
    pub http: Vec<String>,
    /// Names of the secrets it uses.
    pub secrets: Vec<String>,
    /// Whether it keeps state.
    pub store: bool,
}

/// What the operator gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Granted {
    pub http: Vec<String>,
    /// Networks that are otherwise closed, e.g. `127.0.0.1/32`.
    pub networks: Vec<String>,
    /// Names of the secrets that are set.
    pub secrets: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SinkQueue {
    pub pending: u64,
    pub dead: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backing_off_until: Option<Timestamp>,
    /// Why the last attempt of what backs off failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// One line that a plugin wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginLogLine {
    pub time: Timestamp,
    pub level: PluginLogLevel,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginLogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    Running,
    /// Something it uses is not there; its cursor is held.
    Paused,
    /// Its configuration cannot be used.
    Failed,
}

/// Which events pass which steps to which sinks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Pipeline {
    pub name: String,
    pub state: PipelineState,
    /// Why it is paused or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub when: When,
    pub steps: Vec<PipelineStep>,
    pub sinks: Vec<String>,
    #[serde(flatten)]
    pub throttle: Throttle,
    /// Events that wait for their batch to be full.
    pub batched: u64,
    /// Everything up to this event has been decided.
    pub cursor: EventId,
    /// Events that it has still to look at; counted up to 500, and within the next 200,000 ids.
    pub lag: usize,
    /// Events that `when` let in.
    pub seen: i64,
    pub dropped: i64,
    /// Events that retention removed before they were seen, at most: those of other types
    /// in between count, too.
    pub skipped: i64,
    /// Newest first.
    pub recent_drops: Vec<RecentDrop>,
}

/// Which events enter a pipeline. Lists that are empty let everything in;
/// names may be globs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Without: all but log lines and what plugins cause.
    #[serde(default, rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub project: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stage: Vec<String>,
    /// Container names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance: Vec<String>,
    /// Least severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// What our own deploys do to instances, too: it is silent otherwise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub planned: bool,
}

pub(super) fn is_false(value: &bool) -> bool {
    !value
}

/// How a pipeline keeps from crying wolf. Nothing of it is on by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Throttle {
    /// For so many seconds after the server's start instances may come and go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_grace_s: Option<u64>,
    /// Of events that agree in these, one passes in a cooldown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub once_per: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown_s: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// Events that a sink gets together: when so many wait, or the first has waited
/// for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Batch {
    pub events: usize,
    pub wait_s: u64,
}

/// What happens to an event when a step fails on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It goes on as if the step were not there.
    #[default]
    Pass,
    /// It is dropped, visibly.
    Drop,
    /// The pipeline waits until the step works again.
    Hold,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineStep {
    pub plugin: String,
    pub on_error: OnError,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecentDrop {
    pub event: EventId,
    pub plugin: String,
    pub reason: String,
    pub time: Timestamp,
}
