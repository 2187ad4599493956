//! Deploys and their steps: `write` keeps what is intended and what came of it, `read`
//! what people and the queue ask for.

mod held;
mod read;
mod write;

pub use held::Held;

use super::SealedSpec;
use crate::model::{Actor, DeployId, DeployStatus, Lane, Plan};

/// A deploy that somebody asked for.
#[derive(Debug, Clone)]
pub struct NewDeploy {
    pub lane: Lane,
    pub generation: i64,
    pub actor: Actor,
    pub spec: SealedSpec,
    /// To what an earlier deploy ran.
    pub rollback: Option<Rollback>,
    /// Fingerprint of what the lane said, where this deploy is of something else.
    pub lane_was: Option<String>,
}

/// What an earlier deploy ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    pub to: DeployId,
    /// Identity of its image on this engine, and in its registry.
    pub image_id: Option<String>,
    pub digest: Option<String>,
}

/// Which deploys to list.
#[derive(Debug, Clone, Default)]
pub struct DeployQuery {
    pub projects: Vec<String>,
    pub stages: Vec<String>,
    pub statuses: Vec<DeployStatus>,
    /// Only ids below.
    pub before: Option<DeployId>,
    pub limit: usize,
}

/// What is known of a deploy that has not ended.
#[derive(Debug, Clone)]
pub struct OpenDeploy {
    pub id: DeployId,
    pub lane: Lane,
    pub generation: i64,
    pub status: DeployStatus,
    pub spec: SealedSpec,
    pub actor: Actor,
    pub instance: Option<String>,
    pub plan: Option<Plan>,
    pub rollback: Option<Rollback>,
    /// Of its image, once that is here.
    pub digest: Option<String>,
    pub lane_was: Option<String>,
    /// Somebody has asked for its end.
    pub cancelled: bool,
}

/// What a deploy ran.
#[derive(Debug, Clone)]
pub struct Deployed {
    pub lane: Lane,
    pub spec: SealedSpec,
    pub image_id: Option<String>,
    pub digest: Option<String>,
}
