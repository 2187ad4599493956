//! Why a plugin cannot be used, and which of its versions that is.

use super::{label, short};
use crate::plugin_host::{
    capabilities::GrantError,
    compile::{CompileError, WASM_BYTES_MAX},
    config::Source,
    metrics::FaultKind,
    sandbox::{Fault, LoadError, SandboxError},
};

/// Why a version cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("the file `{0}` is not in the plugins folder")]
    Missing(String),
    #[error("there is no built-in plugin `{name}`; there are: {}", known.join(", "))]
    NoBuiltin { name: String, known: Vec<String> },
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    #[error("the file of {bytes} bytes is over the limit of {} MiB", WASM_BYTES_MAX >> 20)]
    TooLarge { bytes: u64 },
    #[error("the file's digest is {found}: set sha256 = \"{found}\" once you have looked at it")]
    OtherDigest { found: String },
    /// `which` names it, as far as it is known.
    #[error("{which}: {problem}")]
    File { which: String, problem: FileProblem },
    #[error("configuration: {0}")]
    Config(String),
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// May go away by itself, so it is tried again.
    #[error("secret `{name}`: {reason}")]
    Secret { name: String, reason: String },
    #[error("{0}")]
    SecretTo(String),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl PrepareError {
    /// Without anybody changing a file: a secret may be there later, the machine less busy.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Secret { .. }
                | Self::Unreadable(_)
                | Self::Sandbox(_)
                | Self::File {
                    problem: FileProblem::Compile(CompileError::Unavailable(_)),
                    ..
                }
        )
    }

    /// The compiler did not get to an end, or not to a good one: the machine may have been
    /// too busy, or have had no memory left, but the file may be to blame as well.
    pub(super) const fn is_of_the_compiler(&self) -> bool {
        let Self::File { problem, .. } = self else {
            return false;
        };
        let problem = match problem {
            FileProblem::Compile(problem) => problem,
            FileProblem::Load(problem) => return matches!(problem, LoadError::Broken(_)),
            FileProblem::Fault(_) => return false,
        };
        match problem {
            CompileError::TooSlow { .. }
            | CompileError::Crashed { .. }
            | CompileError::Ended { .. } => true,
            CompileError::NotWasm
            | CompileError::NotAComponent
            | CompileError::TooLarge { .. }
            | CompileError::Invalid(_)
            | CompileError::TooHeavy(_)
            | CompileError::Unavailable(_) => false,
        }
    }

    /// Rather than about its configuration, or because it is gone.
    pub(super) const fn is_about_the_file(&self) -> bool {
        matches!(
            self,
            Self::Unreadable(_)
                | Self::TooLarge { .. }
                | Self::OtherDigest { .. }
                | Self::File { .. }
        )
    }
}

/// What is wrong with a file itself.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("it cannot be started: {0}")]
    Fault(#[from] Fault),
}

impl PrepareError {
    /// What is wrong with the plugin; `None` where that is its configuration, or
    /// the machine.
    pub(super) fn kind(&self) -> Option<FaultKind> {
        match self {
            Self::TooLarge { .. } => Some(FaultKind::TooLarge),
            Self::File { problem, .. } => Some(problem.kind()),
            Self::Missing(_)
            | Self::NoBuiltin { .. }
            | Self::Unreadable(_)
            | Self::OtherDigest { .. }
            | Self::Config(_)
            | Self::Grant(_)
            | Self::Secret { .. }
            | Self::SecretTo(_)
            | Self::Sandbox(_) => None,
        }
    }
}

impl FileProblem {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Compile(problem) => problem.kind(),
            Self::Load(problem) => problem.kind(),
            Self::Fault(fault) => fault.kind(),
        }
    }
}

/// The version is known once the file has described itself.
pub(super) fn blame(
    source: &Source,
    digest: &str,
    number: Option<&str>,
    problem: impl Into<FileProblem>,
) -> PrepareError {
    let which = match number {
        Some(number) => format!("`{source}`, {}", label(number, digest)),
        None => format!("`{source}` ({})", short(digest)),
    };
    PrepareError::File {
        which,
        problem: problem.into(),
    }
}
