use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When a new instance counts as good. All that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthSpec {
    /// Replaces the image's own HEALTHCHECK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<DockerHealth>,
    /// Probed from the host: needs nothing inside the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,
    /// How long it must run without restart; 10,000 when nothing else is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_uptime_ms: Option<u64>,
    /// The longest the gate may take; derived from the checks when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DockerHealth {
    /// As in Docker: `["CMD", "prog", "arg"]` or `["CMD-SHELL", "line"]`.
    pub test: Vec<String>,
    #[serde(default = "default_interval_ms")]
    pub interval_ms: u64,
    #[serde(default = "default_interval_ms")]
    pub timeout_ms: u64,
    #[serde(default = "default_retries")]
    pub retries: u32,
    #[serde(default)]
    pub start_period_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// Port in the container.
    pub port: u16,
    #[serde(default = "default_path")]
    pub path: String,
    /// Any status from 200 to 399 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_status: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// Port in the container.
    pub port: u16,
}

const fn default_interval_ms() -> u64 {
    30_000
}

const fn default_retries() -> u32 {
    3
}

fn default_path() -> String {
    "/".to_owned()
}
