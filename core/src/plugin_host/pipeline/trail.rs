use crate::{
    model::{StepDecision, StepTrace},
    plugin_host::{
        plugin::{RunError, Runner},
        sandbox::Decision,
    },
};

/// What was said of an event on its way through a pipeline, in order.
#[derive(Debug, Default)]
pub(super) struct Trail(pub Vec<StepTrace>);

/// The answer of a filter or an enricher.
pub(super) enum Said {
    Keep,
    Drop(String),
    Added(Option<serde_json::Map<String, serde_json::Value>>),
}

impl From<Decision> for Said {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Keep => Self::Keep,
            Decision::Drop(reason) => Self::Drop(reason),
        }
    }
}

impl Trail {
    /// By the pipeline itself.
    pub fn refused(&mut self, by: &str, reason: &str) {
        self.0.push(StepTrace {
            plugin: by.to_owned(),
            version: None,
            digest: None,
            decision: StepDecision::Drop,
            detail: Some(reason.to_owned()),
            duration_us: 0,
        });
    }

    /// A plugin.
    pub fn asked(&mut self, runner: &Runner, said: &Result<Said, RunError>) {
        let (decision, detail) = match said {
            Ok(Said::Keep) => (StepDecision::Keep, None),
            Ok(Said::Drop(reason)) => (StepDecision::Drop, Some(reason.clone())),
            Ok(Said::Added(None)) => (StepDecision::Nothing, None),
            Ok(Said::Added(Some(added))) => {
                (StepDecision::Added, serde_json::to_string(added).ok())
            }
            Err(error) => (StepDecision::Failed, Some(error.to_string())),
        };
        let (version, digest) = runner.identity().unzip();
        self.0.push(StepTrace {
            plugin: runner.plugin().to_owned(),
            version,
            digest,
            decision,
            detail,
            duration_us: u64::try_from(runner.took().as_micros()).unwrap_or(u64::MAX),
        });
    }
}
