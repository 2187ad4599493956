use std::time::Duration;

use super::{error::Stop, run::Run};
use crate::{
    engine::EngineState,
    model::{StepName, StepStatus, Timestamp},
    store::StoreError,
};

/// How long a step waits for an engine that does not answer.
const ENGINE_PATIENCE: Duration = Duration::from_secs(60);

impl Run {
    /// A step that a cancel ends at once.
    pub(super) fn interruptible<'a, T: 'a>(
        &'a self,
        step: StepName,
        action: impl Future<Output = Result<(T, Option<String>), Stop>> + 'a,
    ) -> impl Future<Output = Result<T, Stop>> + 'a {
        // Boxed before it is moved on: steps within steps would fill the stack.
        let action = Box::pin(action);
        self.step(step, async move {
            let ready = async {
                self.until_engine().await?;
                action.await
            };
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(Stop::Cancelled),
                outcome = ready => outcome,
            }
        })
    }

    /// An engine that is away for a moment is waited for, visibly. One that
    /// stays away is told by the step that needs it.
    async fn until_engine(&self) -> Result<(), Stop> {
        let engine = &self.tools.engine;
        if engine.connection().borrow().state == EngineState::Connected {
            return Ok(());
        }
        let waiting = "waiting for the Docker engine, which does not answer now";
        self.journal.say(waiting.to_owned()).await?;
        let connected = engine.until_connected();
        if tokio::time::timeout(ENGINE_PATIENCE, connected)
            .await
            .is_err()
        {
            tracing::warn!(deploy = %self.deploy.id, "the engine is away for long");
        }
        Ok(())
    }

    /// Intent, action, result.
    pub(super) fn step<'a, T: 'a>(
        &'a self,
        step: StepName,
        action: impl Future<Output = Result<(T, Option<String>), Stop>> + 'a,
    ) -> impl Future<Output = Result<T, Stop>> + 'a {
        let action = Box::pin(action);
        async move {
            if !self.journal.start_step(step).await? {
                return Err(Stop::Ended);
            }
            let outcome = action.await;
            let (status, message) = match &outcome {
                Ok((_, message)) => (StepStatus::Succeeded, message.clone()),
                Err(Stop::Failed(failure) | Stop::RolledBack(failure)) => {
                    (StepStatus::Failed, Some(failure.reason.clone()))
                }
                Err(Stop::Cancelled) => (StepStatus::Failed, Some("cancelled".into())),
                Err(Stop::Store(_) | Stop::Ended) => return outcome.map(|(value, _)| value),
            };
            self.journal
                .end_step(step, status, message, |_| Ok(()))
                .await?;
            outcome.map(|(value, _)| value)
        }
    }

    /// When a step began, perhaps in an earlier life of the server.
    pub(super) async fn step_began(&self, step: StepName) -> Result<Timestamp, StoreError> {
        let id = self.deploy.id;
        let deploy = self
            .tools
            .store
            .read(move |reader| reader.deploy(id))
            .await?;
        let mut steps = deploy.into_iter().flat_map(|deploy| deploy.steps);
        let began = steps.find(|known| known.name == step);
        let began = began.and_then(|step| step.started_at);
        Ok(began.unwrap_or_else(Timestamp::now))
    }
}
