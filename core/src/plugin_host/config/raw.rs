//! The files as they are written: shapes only, no meaning.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{OnError, Severity};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub plugin: BTreeMap<String, Plugin>,
    #[serde(default)]
    pub pipeline: BTreeMap<String, Pipeline>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub file: String,
    #[serde(default)]
    pub sha256: Option<String>,
    #[serde(default)]
    pub config: toml::Table,
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    #[serde(default)]
    pub grants: Grants,
    #[serde(default)]
    pub limits: Limits,
}

/// `"env:TOKEN"` or `{ from = "env:TOKEN", to = ["https://a.example"] }`.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected where to find it, \"env:VARIABLE\", \"file:/absolute/path\" or \"store:NAME\", \
                 or { from = \"…\", to = [\"https://…\"] }"
)]
pub(super) enum Secret {
    From(String),
    Bound(BoundSecret),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoundSecret {
    pub from: String,
    pub to: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grants {
    #[serde(default)]
    pub http: Vec<String>,
    #[serde(default)]
    pub networks: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub memory_mib: Option<u32>,
    /// Per call.
    pub cpu_ms: Option<u32>,
    /// While it starts.
    pub start_ms: Option<u32>,
    /// Per call, waiting included.
    pub wall_ms: Option<u32>,
    pub host_calls: Option<u32>,
    pub output_kib: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pipeline {
    #[serde(default)]
    pub when: When,
    #[serde(default)]
    pub steps: Vec<Step>,
    #[serde(default)]
    pub sinks: Vec<String>,
    /// Durations are texts such as `30s` or `5m`.
    pub startup_grace: Option<String>,
    #[serde(default)]
    pub once_per: OneOrMany,
    pub cooldown: Option<String>,
    pub batch: Option<Batch>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    pub events: usize,
    pub wait: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    #[serde(default, rename = "type")]
    pub types: OneOrMany,
    #[serde(default)]
    pub project: OneOrMany,
    #[serde(default)]
    pub stage: OneOrMany,
    #[serde(default)]
    pub instance: OneOrMany,
    pub severity: Option<Severity>,
    #[serde(default)]
    pub planned: bool,
}

/// `"a"` or `["a", "b"]`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// `"rules"` or `{ plugin = "rules", on_error = "drop" }`.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected the name of a plugin, or { plugin = \"NAME\", on_error = \"pass\" | \"drop\" | \"hold\" }"
)]
pub(super) enum Step {
    Name(String),
    Full(FullStep),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FullStep {
    pub plugin: String,
    #[serde(default)]
    pub on_error: OnError,
}
