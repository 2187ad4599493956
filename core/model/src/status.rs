use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a deploy stands. The last four are terminal.
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
    /// The new instance serves; who still talks to the old one may finish.
    Draining,
    /// The new instance serves, and is watched; the old one is at hand.
    Baking,
    Retiring,
    /// The old instance is being started again: the new one did not pass its gate.
    Restoring,
    /// The old instance takes over again from one that served already.
    RollingBack,
    Succeeded,
    Failed,
    Cancelled,
    /// The old instance serves again.
    RolledBack,
}

impl DeployStatus {
    pub const ALL: [Self; 16] = [
        Self::Queued,
        Self::Planning,
        Self::Pulling,
        Self::Creating,
        Self::Starting,
        Self::Gating,
        Self::Replacing,
        Self::Draining,
        Self::Baking,
        Self::Retiring,
        Self::Restoring,
        Self::RollingBack,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::RolledBack,
    ];

    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::RolledBack
        )
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
            Self::Draining => "draining",
            Self::Baking => "baking",
            Self::Retiring => "retiring",
            Self::Restoring => "restoring",
            Self::RollingBack => "rolling_back",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::RolledBack => "rolled_back",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}
