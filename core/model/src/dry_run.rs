use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AttemptOutcome, Delivery, EventId, PipelineTrace, PluginLogLine, PluginRole, Severity,
    StepTrace, Timestamp, When,
};

/// What to try on past events. Everything may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunRequest {
    /// How far back: a duration such as `24h` (the default), or a time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Events at most, the oldest first: 1 to 2,000, 500 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// A TOML file as it would be put into the plugins folder. What it configures
    /// goes before what the folder says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toml: Option<String>,
    /// Files as they would be put into the plugins folder: `x.wasm` → base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// For a plugin by itself: which events it is asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// What every HTTP request of the plugins is answered with, as none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<DryAnswer>,
}

/// An answer that nobody gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DryAnswer {
    /// HTTP status, 100 to 599.
    pub status: u16,
    #[serde(default)]
    pub body: String,
}

impl Default for DryAnswer {
    /// What most targets say when all is well.
    fn default() -> Self {
        Self {
            status: 200,
            body: r#"{"ok":true}"#.to_owned(),
        }
    }
}

/// What a plugin or a pipeline would have done with past events, beside what
/// really happened. Nothing was sent and nothing is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DryRun {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Whether it came to the end of that time.
    pub complete: bool,
    /// What to know when reading it: why it stopped, what is missing.
    pub notes: Vec<String>,
    pub summary: DryRunSummary,
    /// Those that took part.
    pub plugins: Vec<DryRunPlugin>,
    /// Oldest first.
    pub events: Vec<DryRunEvent>,
    /// In the order in which they would have been sealed.
    pub deliveries: Vec<DryRunDelivery>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DryRunSummary {
    /// Events that `when` let in.
    pub events: usize,
    pub passed: usize,
    pub dropped: usize,
    /// Those that deploys of ours caused.
    pub silent: usize,
    /// Those that a failing step would have held up.
    pub held: usize,
    /// Those that really went otherwise.
    pub different: usize,
    pub deliveries: usize,
    /// Deliveries that the sink did not make.
    pub failed_deliveries: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DryRunPlugin {
    pub name: String,
    pub role: PluginRole,
    pub version: String,
    /// SHA-256 of its file, hex.
    pub digest: String,
    /// Whether the running server uses the same file for it.
    pub installed: bool,
    pub faults: u64,
    /// Lines to add to the configuration, for what it asks and does not have.
    pub missing_grants: Vec<String>,
    /// What it wrote, oldest first; the newest 200 lines.
    pub log: Vec<PluginLogLine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DryRunOutcome {
    Passed,
    Dropped,
    /// A deploy of ours caused it: the pipeline would have taken no notice.
    Silent,
    /// A step fails, and the pipeline would have waited for it.
    Held,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DryRunEvent {
    pub id: EventId,
    #[serde(rename = "type")]
    pub kind: String,
    pub time: Timestamp,
    pub subject: String,
    pub severity: Severity,
    pub outcome: DryRunOutcome,
    /// Why it was dropped or held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who was asked and said what; none for log lines.
    pub steps: Vec<StepTrace>,
    /// What the steps would have asked of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<DryRunRequestMade>,
    /// What really happened: of a plugin by itself, only what it said, in each
    /// pipeline. Empty where nobody asked, or where it is forgotten.
    pub really: Vec<PipelineTrace>,
    /// Whether that was otherwise.
    pub differs: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DryRunDelivery {
    /// The id that it would have, or has.
    pub id: String,
    pub sink: String,
    pub events: Vec<EventId>,
    pub outcome: AttemptOutcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What would have been sent.
    pub requests: Vec<DryRunRequestMade>,
    /// Deliveries to this sink that really held one of the events.
    pub really: Vec<Delivery>,
}

/// A request that was not sent, with the names of secrets in the place of their
/// values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DryRunRequestMade {
    pub method: String,
    pub url: String,
    pub headers: Vec<DryRunHeader>,
    /// The first 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Why it could not have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DryRunHeader {
    pub name: String,
    pub value: String,
}
