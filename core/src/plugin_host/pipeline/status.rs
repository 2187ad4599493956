use std::sync::{Mutex, PoisonError};

use crate::model::PipelineState;

/// What is known of a pipeline besides what the store keeps.
pub struct PipelineStatus {
    name: String,
    known: Mutex<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub state: PipelineState,
    pub error: Option<String>,
}

impl PipelineStatus {
    pub fn new(name: &str) -> Self {
        let known = Known {
            state: PipelineState::Paused,
            error: None,
        };
        Self {
            name: name.to_owned(),
            known: Mutex::new(known),
        }
    }

    pub fn known(&self) -> Known {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set(&self, state: PipelineState, error: Option<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (known.state, known.error) = (state, error);
    }

    /// It cannot run as it is configured.
    pub fn fail(&self, error: String) {
        let pipeline = &self.name;
        tracing::warn!(%pipeline, %error, "a pipeline cannot run, events for it wait");
        self.set(PipelineState::Failed, Some(error));
    }
}
