use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeployId, Lane, Payload, ProjectName, StageName, Timestamp};

/// Position of an event in its journal. Only grows, also across restarts.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = i64)]
pub struct EventId(pub i64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a named journal. The name changes when history is lost, so that
/// an id of another history is recognised as foreign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Position {
    pub journal: String,
    pub id: EventId,
}

impl Position {
    /// Reads `<journal>-<id>`, as the `id:` field of a frame has it.
    pub fn parse(text: &str) -> Option<Self> {
        let (journal, id) = text.rsplit_once('-')?;
        let id = id.parse().ok().filter(|id| *id >= 0)?;
        (!journal.is_empty()).then(|| Self {
            journal: journal.to_owned(),
            id: EventId(id),
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.journal, self.id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    DeployLog,
    DeployStatus,
    InstanceStatus,
    ProjectStatus,
    EventAnnotated,
    PluginStatus,
    DeliveryStatus,
    WatchGap,
    Audit,
    System,
}

impl EventType {
    pub const ALL: [Self; 10] = [
        Self::DeployLog,
        Self::DeployStatus,
        Self::InstanceStatus,
        Self::ProjectStatus,
        Self::EventAnnotated,
        Self::PluginStatus,
        Self::DeliveryStatus,
        Self::WatchGap,
        Self::Audit,
        Self::System,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeployLog => "deploy_log",
            Self::DeployStatus => "deploy_status",
            Self::InstanceStatus => "instance_status",
            Self::ProjectStatus => "project_status",
            Self::EventAnnotated => "event_annotated",
            Self::PluginStatus => "plugin_status",
            Self::DeliveryStatus => "delivery_status",
            Self::WatchGap => "watch_gap",
            Self::Audit => "audit",
            Self::System => "system",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 5] = [
        Self::Debug,
        Self::Info,
        Self::Warning,
        Self::Error,
        Self::Critical,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    User,
    System,
    Plugin,
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    pub kind: ActorKind,
    pub name: String,
}

impl Actor {
    pub fn system(part: &str) -> Self {
        Self {
            kind: ActorKind::System,
            name: part.to_owned(),
        }
    }

    pub fn plugin(name: &str) -> Self {
        Self {
            kind: ActorKind::Plugin,
            name: name.to_owned(),
        }
    }
}

/// What an event is about; what filters match on. Written as a path:
/// `shop/prod/deploys/17`, `shop/prod/instances/web-1`, `instances/db`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    pub project: Option<ProjectName>,
    pub stage: Option<StageName>,
    pub deploy: Option<DeployId>,
    /// Container name.
    pub instance: Option<String>,
    /// Anything else: `plugins/slack`, `engine`.
    pub other: Option<String>,
}

impl Subject {
    pub fn deploy(lane: &Lane, deploy: DeployId) -> Self {
        Self {
            deploy: Some(deploy),
            ..Self::lane(lane)
        }
    }

    pub fn lane(lane: &Lane) -> Self {
        Self {
            project: Some(lane.project.clone()),
            stage: Some(lane.stage.clone()),
            ..Self::default()
        }
    }

    pub fn project(project: &ProjectName) -> Self {
        Self {
            project: Some(project.clone()),
            ..Self::default()
        }
    }

    pub fn other(path: impl Into<String>) -> Self {
        Self {
            other: Some(path.into()),
            ..Self::default()
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut part = |f: &mut fmt::Formatter<'_>, text: &dyn fmt::Display| {
            let written = write!(f, "{separator}{text}");
            separator = "/";
            written
        };
        if let Some(project) = &self.project {
            part(f, project)?;
        }
        if let Some(stage) = &self.stage {
            part(f, stage)?;
        }
        if let Some(deploy) = self.deploy {
            part(f, &format_args!("deploys/{deploy}"))?;
        }
        if let Some(instance) = &self.instance {
            part(f, &format_args!("instances/{instance}"))?;
        }
        if let Some(other) = &self.other {
            part(f, other)?;
        }
        Ok(())
    }
}

/// A fact before it has an id: what publishers hand to the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// When it happened; now, unless the source knows better.
    pub time: Timestamp,
    pub subject: Subject,
    pub severity: Severity,
    pub actor: Actor,
    pub cause: Option<EventId>,
    pub payload: Payload,
}

impl NewEvent {
    pub fn new(subject: Subject, severity: Severity, actor: Actor, payload: Payload) -> Self {
        Self {
            time: Timestamp::now(),
            subject,
            severity,
            actor,
            cause: None,
            payload,
        }
    }

    pub fn caused_by(mut self, cause: Option<EventId>) -> Self {
        self.cause = cause;
        self
    }

    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = time;
        self
    }
}

/// A fact as everybody sees it: the JSON of a frame's `data:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    pub id: EventId,
    /// `type` and `payload`.
    #[serde(flatten)]
    pub payload: Payload,
    /// When it happened.
    pub time: Timestamp,
    /// When it was written to the journal.
    pub recorded: Timestamp,
    /// Stable id of this machine.
    pub node: String,
    /// Path of what it is about, e.g. `shop/prod/deploys/17`.
    pub subject: String,
    pub severity: Severity,
    pub actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventId>,
}

#[cfg(test)]
mod tests {
    use super::{EventId, Lane, Position, Subject};
    use crate::DeployId;

    #[test]
    fn a_subject_reads_as_a_path() {
        let lane = Lane {
            project: "shop".parse().expect("slug"),
            stage: "prod".parse().expect("slug"),
        };
        assert_eq!(
            Subject::deploy(&lane, DeployId(17)).to_string(),
            "shop/prod/deploys/17"
        );
        assert_eq!(Subject::other("plugins/slack").to_string(), "plugins/slack");
    }

    #[test]
    fn a_position_survives_text_and_nonsense_is_refused() {
        let position = Position {
            journal: "j7f".into(),
            id: EventId(12),
        };
        assert_eq!(Position::parse("j7f-12"), Some(position));
        for bad in ["", "12", "-12", "j7f-", "j7f-x"] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
    }
}
