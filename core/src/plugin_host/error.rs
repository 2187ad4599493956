use super::{grant::GrantFileError, sandbox::SandboxError};
use crate::{model::SecretName, store::StoreError};

/// Why something that was asked of the plugin host was not done.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("{kind} `{name}` does not exist")]
    NotFound { kind: &'static str, name: String },
    #[error("{kind} `{name}` does not exist: {remedy}")]
    NothingToTry {
        kind: &'static str,
        name: String,
        remedy: String,
    },
    #[error("plugin `{0}` is not a sink: only sinks send")]
    NotASink(String),
    /// `field` is a path in the request, e.g. `answer/status`.
    #[error("{field}: {message}")]
    Invalid { field: String, message: String },
    /// It is there, but not in a state for this.
    #[error("{0}")]
    Conflict(String),
    #[error(
        "secret `{name}` is used by {}: take it out of {} first, or give it another value",
        users.join(", "),
        if users.len() == 1 { "its configuration" } else { "their configuration" }
    )]
    SecretInUse {
        name: SecretName,
        users: Vec<String>,
    },
    #[error("plugin `{0}` is busy: try again in a moment")]
    Busy(String),
    #[error("the plugins folder {folder} cannot be used: {reason}")]
    Folder { folder: String, reason: String },
    #[error(transparent)]
    Grant(#[from] GrantFileError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl HostError {
    pub(super) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.to_owned(),
            message: message.into(),
        }
    }
}
