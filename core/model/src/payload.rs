use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    DeployId, DeployStatus, EventId, EventType, Failure, Health, InstanceStatus, Plan, ProjectName,
    StageName, StepName, StepStatus, Strategy, Timestamp,
};

/// What happened. Serialised as `"type": …, "payload": {…}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub enum Payload {
    DeployLog(DeployLogPayload),
    DeployStatus(Box<DeployStatusPayload>),
    InstanceStatus(Box<InstanceStatusPayload>),
    ProjectStatus(ProjectStatusPayload),
    EventAnnotated(EventAnnotatedPayload),
    PluginStatus(PluginStatusPayload),
    DeliveryStatus(DeliveryStatusPayload),
    WatchGap(WatchGapPayload),
    Audit(AuditPayload),
    System(SystemPayload),
}

impl Payload {
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::DeployLog(_) => EventType::DeployLog,
            Self::DeployStatus(_) => EventType::DeployStatus,
            Self::InstanceStatus(_) => EventType::InstanceStatus,
            Self::ProjectStatus(_) => EventType::ProjectStatus,
            Self::EventAnnotated(_) => EventType::EventAnnotated,
            Self::PluginStatus(_) => EventType::PluginStatus,
            Self::DeliveryStatus(_) => EventType::DeliveryStatus,
            Self::WatchGap(_) => EventType::WatchGap,
            Self::Audit(_) => EventType::Audit,
            Self::System(_) => EventType::System,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    Stdout,
    Stderr,
    /// Said by tiny-forge itself.
    System,
}

/// One line of a deploy's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeployLogPayload {
    pub deploy_id: DeployId,
    pub step: StepName,
    pub stream: LogStream,
    /// At most 16 KiB; without its line end.
    pub line: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// A deploy moved on: its status, one of its steps, or the progress of its pull.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeployStatusPayload {
    pub deploy_id: DeployId,
    pub project: ProjectName,
    pub stage: StageName,
    pub generation: i64,
    pub status: DeployStatus,
    pub image: String,
    /// What the image says about itself: its labels `org.opencontainers.image.…`, without
    /// that prefix, of which created, revision, source, title, url and version.
    /// Known once it is here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub image_labels: BTreeMap<String, String>,
    /// `sha256:…`, as the repository of the image's name calls exactly what runs. Known once
    /// the image is here, if the engine has it from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The deploy whose image and configuration this one brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolls_back_to: Option<DeployId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_status: Option<StepStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<PullProgress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// It has succeeded, and this is the one of its stage that had done so before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<DeployId>,
    /// It has succeeded, and the last one of its stage that came to an end, but for
    /// cancelled ones, had not.
    #[serde(default, skip_serializing_if = "super::plugin::is_false")]
    pub recovered: bool,
}

/// How far a pull has come; at most two of these events a second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PullProgress {
    pub layers: Vec<LayerProgress>,
    pub current_bytes: u64,
    pub total_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LayerProgress {
    pub id: String,
    /// In the engine's words: `Downloading`, `Extracting`, `Pull complete`, …
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceReason {
    Created,
    Started,
    /// Stopped on request.
    Stopped,
    /// Ended by itself with code 0.
    Exited,
    /// Ended by itself with another code.
    UnexpectedExit,
    Oom,
    Killed,
    Restarted,
    Paused,
    Unpaused,
    Renamed,
    Removed,
    Healthy,
    Unhealthy,
    /// Ended, or was restarted, three times within ten minutes: told once.
    CrashLoop,
    /// Healthy after `unhealthy`, or has run for ten minutes after `crash_loop`.
    Recovered,
    /// A difference found by comparing with the engine.
    Resync,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceSource {
    /// The engine told us.
    Event,
    /// We found out by listing.
    Resync,
}

/// An instance changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceStatusPayload {
    /// Container id, 64 hex digits.
    pub instance: String,
    pub name: String,
    pub image: String,
    /// What the image says about itself: its labels `org.opencontainers.image.…`, without
    /// that prefix, of which created, revision, source, title, url and version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub image_labels: BTreeMap<String, String>,
    pub managed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_id: Option<DeployId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    pub status: InstanceStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<InstanceStatus>,
    pub health: Health,
    pub reason: InstanceReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    pub oom_killed: bool,
    pub restart_count: i64,
    /// It ends again and again, as `crash_loop` tells once: what it does until that is over
    /// is no news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash_loop_since: Option<Timestamp>,
    /// What it said last before an end that nobody asked for, oldest line first; without
    /// secrets, long lines cut. Only of instances of ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
    /// Done by a deploy of ours: nothing to be alarmed about.
    pub planned: bool,
    pub source: InstanceSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectChange {
    Created,
    Updated,
    Deleted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectStatusPayload {
    pub project: ProjectName,
    pub change: ProjectChange,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
}

/// An enricher added facts to an earlier event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventAnnotatedPayload {
    pub event: EventId,
    pub plugin: String,
    pub annotations: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginStatusPayload {
    pub plugin: String,
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// SHA-256 of the file, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryStatusPayload {
    pub delivery: String,
    pub pipeline: String,
    pub sink: String,
    pub status: String,
    pub attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub events: Vec<EventId>,
}

/// Between these times something may have happened that we did not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchGapPayload {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditPayload {
    pub action: String,
    pub resource: String,
    pub outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SystemPayload {
    /// `started`, `stopping`, `engine_connected`, `engine_lost`, …
    pub what: String,
    pub message: String,
}
