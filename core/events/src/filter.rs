use tiny_forge_model::{DeployId, EventType, Severity};

use crate::FrameParts;

/// Which events a subscriber wants. Lists that are empty let everything
/// through, but log lines come only when `types`, `deploys` or `logs` asks for
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    pub types: Vec<EventType>,
    pub projects: Vec<String>,
    pub stages: Vec<String>,
    /// Container names.
    pub instances: Vec<String>,
    pub deploys: Vec<DeployId>,
    pub min_severity: Option<Severity>,
    /// Log lines of these deploys come besides, whatever the others say.
    pub logs: Vec<DeployId>,
}

impl Filter {
    /// All events, log lines too.
    pub fn everything() -> Self {
        Self {
            types: EventType::ALL.to_vec(),
            ..Self::default()
        }
    }

    /// Log lines and status of one deploy.
    pub fn deploy(deploy: DeployId) -> Self {
        Self {
            types: vec![EventType::DeployLog, EventType::DeployStatus],
            deploys: vec![deploy],
            ..Self::default()
        }
    }

    /// Any log lines at all.
    pub fn wants_logs(&self) -> bool {
        !self.logs.is_empty() || self.selects_logs()
    }

    /// Log lines that all but `logs` let through.
    pub fn selects_logs(&self) -> bool {
        if self.types.is_empty() {
            !self.deploys.is_empty()
        } else {
            self.types.contains(&EventType::DeployLog)
        }
    }

    pub fn wants_events(&self) -> bool {
        self.types.is_empty() || self.types.iter().any(|kind| *kind != EventType::DeployLog)
    }

    pub fn matches(&self, parts: &FrameParts<'_>) -> bool {
        self.adds(parts) || self.selects(parts)
    }

    /// By `logs`.
    pub(crate) fn adds(&self, parts: &FrameParts<'_>) -> bool {
        parts.kind == EventType::DeployLog && parts.deploy.is_some_and(|it| self.logs.contains(&it))
    }

    /// By all but `logs`.
    pub(crate) fn selects(&self, parts: &FrameParts<'_>) -> bool {
        let kind = match parts.kind {
            EventType::DeployLog => self.selects_logs(),
            kind => self.types.is_empty() || self.types.contains(&kind),
        };
        kind && one_of(&self.projects, parts.project)
            && one_of(&self.stages, parts.stage)
            && one_of(&self.instances, parts.instance)
            && (self.deploys.is_empty()
                || parts.deploy.is_some_and(|it| self.deploys.contains(&it)))
            && self
                .min_severity
                .is_none_or(|least| parts.severity >= least)
    }
}

fn one_of(wanted: &[String], found: Option<&str>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|name| name == found))
}
