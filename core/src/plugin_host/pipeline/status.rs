use std::sync::{Mutex, PoisonError};

use crate::model::PipelineState;

/// What is known of a pipeline besides what the store keeps.
pub struct PipelineStatus(Mutex<Known>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub state: PipelineState,
    pub error: Option<String>,
}

impl PipelineStatus {
    pub fn new() -> Self {
        Self(Mutex::new(Known {
            state: PipelineState::Paused,
            error: None,
        }))
    }

    pub fn known(&self) -> Known {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set(&self, state: PipelineState, error: Option<String>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (known.state, known.error) = (state, error);
    }

    /// It cannot run as it is configured.
    pub fn fail(&self, error: String) {
        self.set(PipelineState::Failed, Some(error));
    }
}
