use crate::{
    engine::EngineError,
    model::{Failure, SpecError, StepName},
    store::StoreError,
};

/// Why a command was refused.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("{kind} `{name}` does not exist")]
    NotFound { kind: &'static str, name: String },
    #[error("project `{0}` exists already: choose another name")]
    NameTaken(String),
    #[error("{0}")]
    Conflict(String),
    #[error("the specification has {} problems", .0.len())]
    Invalid(Vec<SpecError>),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a deploy does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(Box<Failure>),
    /// The new instance served, and the old one serves again.
    RolledBack(Box<Failure>),
    Cancelled,
    /// Somebody has ended it meanwhile: nothing is left to be said.
    Ended,
    /// Nothing can be written: the deploy is taken up again, perhaps by the next server.
    Store(StoreError),
}

impl Stop {
    pub(super) fn failed(step: StepName, reason: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failure {
            step,
            reason: reason.into(),
            exit_code: None,
            oom: false,
            health_output: None,
            log_tail: Vec::new(),
        }))
    }

    /// What failed after this: the first reason stays first.
    pub(super) fn with(self, worse: Self) -> Self {
        match (self, worse) {
            (Self::Failed(first), Self::Failed(worse)) => Self::Failed(Box::new(Failure {
                reason: format!("{}; then: {}", first.reason, worse.reason),
                ..*first
            })),
            (_, worse) => worse,
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
