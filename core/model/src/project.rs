use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    DeployId, DeploySummary, DomainSpec, Instance, PortSpec, ProjectName, Spec, StageName,
    Timestamp,
};

/// What to run, with its stages.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Project {
    pub name: ProjectName,
    pub created_at: Timestamp,
    pub stages: Vec<LaneView>,
}

/// One stage of a project as the API shows it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LaneView {
    pub stage: StageName,
    /// What the next deploy will run; secrets have no value here.
    pub spec: Spec,
    /// Generation that serves; none before the first successful deploy.
    pub generation: Option<i64>,
    /// Where the data plane leads to it: not what `spec` says before it is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldPorts>,
    /// Deploy that is under way.
    pub active_deploy: Option<DeployId>,
    pub latest_deploy: Option<DeploySummary>,
    /// Deploys that wait for their turn.
    pub queued: u32,
    pub instances: Vec<Instance>,
}

/// What leads to an instance that serves, through the data plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldPorts {
    pub ports: Vec<PortSpec>,
    pub domains: Vec<DomainSpec>,
}
