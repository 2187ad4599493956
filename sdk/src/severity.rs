use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bindings::common::tiny_forge::plugin::types;

/// How much an event matters. Ordered: `Severity::Error > Severity::Info`.
/// In JSON and configuration: `"debug"`, `"info"`, `"warning"`, `"error"`,
/// `"critical"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<types::Severity> for Severity {
    fn from(severity: types::Severity) -> Self {
        match severity {
            types::Severity::Debug => Self::Debug,
            types::Severity::Info => Self::Info,
            types::Severity::Warning => Self::Warning,
            types::Severity::Error => Self::Error,
            types::Severity::Critical => Self::Critical,
        }
    }
}
