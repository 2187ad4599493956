use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a deploy stands. The last three are terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeployStatus {
    Queued,
    Planning,
    Pulling,
    Creating,
    Starting,
    Gating,
    Replacing,
    Retiring,
    /// The old instance is being started again after a failure.
    Restoring,
    Succeeded,
    Failed,
    Cancelled,
}

impl DeployStatus {
    pub const ALL: [Self; 12] = [
        Self::Queued,
        Self::Planning,
        Self::Pulling,
        Self::Creating,
        Self::Starting,
        Self::Gating,
        Self::Replacing,
        Self::Retiring,
        Self::Restoring,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Pulling => "pulling",
            Self::Creating => "creating",
            Self::Starting => "starting",
            Self::Gating => "gating",
            Self::Replacing => "replacing",
            Self::Retiring => "retiring",
            Self::Restoring => "restoring",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}
