use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeployId, ProjectName, Protocol, StageName, Timestamp};

/// What the engine says of a container's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceStatus {
    Created,
    Running,
    Restarting,
    Paused,
    Exited,
    Dead,
    Removed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// No health check: says nothing about health.
    None,
    Starting,
    Healthy,
    Unhealthy,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishedPort {
    pub host_ip: String,
    pub host: u16,
    pub container: u16,
    pub protocol: Protocol,
}

/// A container, ours or watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// Container id, 64 hex digits.
    pub id: String,
    pub name: String,
    pub image: String,
    /// Made by a deploy of ours; all others are only watched.
    pub managed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy: Option<DeployId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    pub status: InstanceStatus,
    pub health: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    pub oom_killed: bool,
    pub restart_count: i64,
    /// It ends again and again; until it has run for ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash_loop_since: Option<Timestamp>,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    pub ports: Vec<PublishedPort>,
    pub labels: BTreeMap<String, String>,
    /// When we last read it from the engine.
    pub updated_at: Timestamp,
    /// The engine cannot be reached: this is the last that was known.
    #[serde(default)]
    pub stale: bool,
}
