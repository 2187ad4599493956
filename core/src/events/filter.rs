use super::Frame;
use crate::model::{DeployId, EventType, Severity};

/// Which events a subscriber wants. Lists that are empty let everything
/// through, but log lines come only when `types` or `deploys` asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub types: Vec<EventType>,
    pub projects: Vec<String>,
    pub stages: Vec<String>,
    /// Container names.
    pub instances: Vec<String>,
    pub deploys: Vec<DeployId>,
    pub min_severity: Option<Severity>,
}

impl Filter {
    /// All events, log lines too.
    pub fn everything() -> Self {
        Self {
            types: EventType::ALL.to_vec(),
            ..Self::default()
        }
    }

    /// Everything about one deploy, its log lines too.
    pub fn deploy(deploy: DeployId) -> Self {
        Self {
            deploys: vec![deploy],
            ..Self::default()
        }
    }

    pub fn wants_logs(&self) -> bool {
        if self.types.is_empty() {
            !self.deploys.is_empty()
        } else {
            self.types.contains(&EventType::DeployLog)
        }
    }

    pub fn wants_events(&self) -> bool {
        self.types.is_empty() || self.types.iter().any(|kind| *kind != EventType::DeployLog)
    }

    pub fn matches(&self, frame: &Frame) -> bool {
        let parts = frame.parts();
        self.wants(parts.kind)
            && one_of(&self.projects, parts.project.as_deref())
            && one_of(&self.stages, parts.stage.as_deref())
            && one_of(&self.instances, parts.instance.as_deref())
            && (self.deploys.is_empty()
                || parts
                    .deploy
                    .is_some_and(|deploy| self.deploys.contains(&deploy)))
            && self
                .min_severity
                .is_none_or(|least| parts.severity >= least)
    }

    fn wants(&self, kind: EventType) -> bool {
        match kind {
            EventType::DeployLog => self.wants_logs(),
            _ => self.types.is_empty() || self.types.contains(&kind),
        }
    }
}

fn one_of(wanted: &[String], found: Option<&str>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|name| name == found))
}
