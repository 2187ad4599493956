use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    events::Filter,
    model::{DeployId, EventType, Severity},
};

/// The filter of a stream; means what the parameters of `GET /api/events` mean.
/// What is left out lets everything through.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterView {
    #[serde(rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<EventType>,
    #[serde(rename = "project", skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    #[serde(rename = "stage", skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
    /// Container names.
    #[serde(rename = "instance", skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    #[serde(rename = "deploy", skip_serializing_if = "Vec::is_empty")]
    pub deploys: Vec<DeployId>,
    /// Least severity.
    #[serde(rename = "severity", skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Log lines of these deploys come besides, whatever the others say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<DeployId>,
}

impl FilterView {
    pub fn filter(&self) -> Filter {
        let Self {
            types,
            projects,
            stages,
            instances,
            deploys,
            min_severity,
            logs,
        } = self.clone();
        Filter {
            types,
            projects,
            stages,
            instances,
            deploys,
            min_severity,
            logs,
        }
    }
}

impl From<&Filter> for FilterView {
    fn from(filter: &Filter) -> Self {
        let Filter {
            types,
            projects,
            stages,
            instances,
            deploys,
            min_severity,
            logs,
        } = filter.clone();
        Self {
            types,
            projects,
            stages,
            instances,
            deploys,
            min_severity,
            logs,
        }
    }
}
