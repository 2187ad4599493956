use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Actor, DeployId, DeployStatus, EventId, LoopbackPort, ProjectName, Spec, StageName, Timestamp,
};

/// How the new instance takes the place of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// New one up and healthy first, then the old one is stopped: no downtime.
    StartFirst,
    /// The old one holds a published port, so it is stopped first: downtime.
    StopFirst,
    /// The data plane holds the published ports: new one up and healthy first, then
    /// the ports lead to it, and the old one is stopped when nobody talks to it any
    /// more: no downtime.
    PortHold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    Plan,
    Pull,
    Create,
    Start,
    Gate,
    Replace,
    /// Waiting until nobody talks to the old instance any more.
    Drain,
    /// Watching the new instance while the old one is at hand.
    Bake,
    Retire,
    /// Bringing the old instance back: the new one did not pass its gate.
    Restore,
    /// Reversing the switch to the new instance.
    Rollback,
}

impl StepName {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Pull => "pull",
            Self::Create => "create",
            Self::Start => "start",
            Self::Gate => "gate",
            Self::Replace => "replace",
            Self::Drain => "drain",
            Self::Bake => "bake",
            Self::Retire => "retire",
            Self::Restore => "restore",
            Self::Rollback => "rollback",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    Pending,
    Running,
    Succeeded,
    Failed,
    Skipped,
}

/// One step of a deploy, written before it acts and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    pub name: StepName,
    pub status: StepStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a deploy will do, said before it does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    pub strategy: Strategy,
    /// Whether nobody serves for a while.
    pub downtime: bool,
    /// One sentence for people.
    pub summary: String,
    /// Container id of the instance that will be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Of the new instance on our own network, where the data plane leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<Ipv4Addr>,
    /// Ports of this host that its domains lead to, and the data plane on to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loopback: Vec<LoopbackPort>,
    pub warnings: Vec<String>,
}

/// What a deploy would do now, without doing it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeployPreview {
    pub plan: Plan,
    /// In the order in which they would act.
    pub steps: Vec<StepName>,
    pub image: String,
    /// What the image's name stands for in its registry now, or on this engine where
    /// nothing would be pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The same of the instance that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_digest: Option<String>,
    /// How the specification differs from what serves; empty where nothing serves.
    pub changes: Vec<SpecChange>,
}

/// One field of a specification that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecChange {
    /// JSON pointer, e.g. `/ports/0/host`; of a variable, its name: `/env/WORD`.
    pub field: String,
    /// Absent where there was nothing; of a secret, never told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// Why a deploy did not succeed, with what a person needs to act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    pub step: StepName,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    #[serde(default)]
    pub oom: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_output: Option<String>,
    /// Last lines of the container's output, oldest first.
    pub log_tail: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeploySummary {
    pub id: DeployId,
    pub project: ProjectName,
    pub stage: StageName,
    pub image: String,
    pub status: DeployStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Counts up per lane.
    pub generation: i64,
    pub actor: Actor,
    /// The deploy whose image and configuration this one brings back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolls_back_to: Option<DeployId>,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it failed, was cancelled or was rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step: Option<StepName>,
}

/// One run that brings a lane to a generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deploy {
    #[serde(flatten)]
    pub summary: DeploySummary,
    /// Identity of the image in its registry, once planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Identity of the image on this engine, once pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The full resolved specification; secrets have no value here.
    pub spec: Spec,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    pub steps: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Container id of the instance this deploy made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_event: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event: Option<EventId>,
}
