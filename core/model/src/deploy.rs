use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, DeployId, DeployStatus, EventId, ProjectName, Spec, StageName, Timestamp};

/// How the new instance takes the place of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// New one up and healthy first, then the old one is stopped: no downtime.
    StartFirst,
    /// The old one holds a published port, so it is stopped first: downtime.
    StopFirst,
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
    Retire,
    /// Bringing the old instance back after a failure.
    Restore,
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
            Self::Retire => "retire",
            Self::Restore => "restore",
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
    pub warnings: Vec<String>,
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
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it failed or was cancelled.
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
