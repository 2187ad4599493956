use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    error::Stop,
    journal::{Head, Journal},
    output, own_container, plan,
    plan::Situation,
    pull, switch,
};
use crate::{
    engine::{
        ContainerSpec, Engine, EngineError, EngineState, LABEL_DEPLOY, LABEL_GENERATION,
        LABEL_PROJECT, LABEL_SPEC_HASH, LABEL_STAGE,
    },
    events::Bus,
    failpoint::{self, Failpoint},
    instances::Planned,
    model::{
        DeployStatus, Failure, InstanceStatus, Plan, RestartPolicy, Spec, StepName, StepStatus,
        Strategy,
    },
    scrub::Scrubber,
    store::{Keyring, OpenDeploy, Store, StoreError},
};

/// How long a step waits for an engine that does not answer.
const ENGINE_PATIENCE: Duration = Duration::from_secs(60);

/// What deploys work with; cheap to clone.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) store: Store,
    pub(super) bus: Bus,
    pub(super) engine: Engine,
    pub(super) keyring: Arc<Keyring>,
    pub(super) planned: Planned,
}

/// One deploy under way.
pub(super) struct Run {
    pub(super) tools: Tools,
    pub(super) journal: Journal,
    pub(super) deploy: OpenDeploy,
    /// With the values of its secrets.
    pub(super) spec: Spec,
    pub(super) cancel: CancellationToken,
}

impl Run {
    /// Opens the secrets; without them nothing can be run.
    pub(super) fn prepare(
        tools: Tools,
        deploy: OpenDeploy,
        cancel: CancellationToken,
    ) -> Result<Self, Box<(Journal, Stop)>> {
        let opened = deploy.spec.open(&deploy.lane, &tools.keyring);
        let secrets: Vec<String> = opened
            .iter()
            .flat_map(|spec| spec.env.iter().filter(|entry| entry.secret))
            .filter_map(|entry| entry.value.clone())
            .collect();
        let head = Head {
            id: deploy.id,
            lane: deploy.lane.clone(),
            generation: deploy.generation,
            image: deploy.spec.image().to_owned(),
            actor: deploy.actor.clone(),
        };
        let scrubber = Scrubber::new(secrets.iter().map(String::as_str));
        let journal = Journal::new(tools.store.clone(), tools.bus.clone(), head, scrubber);
        match opened {
            Ok(spec) => Ok(Self {
                tools,
                journal,
                deploy,
                spec,
                cancel,
            }),
            Err(error) => {
                let stop = Stop::failed(StepName::Plan, error.to_string());
                Err(Box::new((journal, stop)))
            }
        }
    }

    /// Runs to a terminal state. An error means that nothing can be written
    /// any more: the next start takes it up.
    pub(super) async fn through(self) -> Result<(), StoreError> {
        let outcome = self.steps().await;
        conclude(&self.journal, outcome).await
    }

    /// The walkthrough. `stop-first` does step 7 before step 5.
    async fn steps(&self) -> Result<(), Stop> {
        // 1. Plan: what is there, what will be done, whether nobody serves meanwhile.
        let plan = self.interruptible(StepName::Plan, self.plan()).await?;
        // 2. Pull: the image is on the engine; the running instance is untouched.
        self.interruptible(StepName::Pull, self.pull()).await?;
        // 3. Create the candidate.
        let candidate = self.interruptible(StepName::Create, self.create()).await?;
        self.tools.planned.begin(&candidate);
        // 4. … 8. Start, gate, replace, retire, with the candidate's output in the log.
        let decided = CancellationToken::new();
        let following = output::follow(
            &self.tools.engine,
            &self.journal,
            &candidate,
            decided.clone(),
        );
        let switching = async {
            let outcome = match plan.strategy {
                Strategy::StartFirst => switch::start_first(self, &plan, &candidate).await,
                Strategy::StopFirst => switch::stop_first(self, &plan, &candidate).await,
            };
            decided.cancel();
            outcome
        };
        let (outcome, ()) = tokio::join!(switching, following);
        self.tools.planned.end(&candidate);
        outcome
    }

    async fn plan(&self) -> Result<(Plan, Option<String>), Stop> {
        let failed = |error: EngineError| Stop::failed(StepName::Plan, error.to_string());
        let situation = self.situation().await?;
        if situation.serving.is_some() && situation.serving == own_container::id() {
            return Err(Stop::failed(
                StepName::Plan,
                "this deploy would stop tiny-forge itself: update it from outside",
            ));
        }
        for network in &self.spec.networks {
            if !self
                .tools
                .engine
                .network_exists(network)
                .await
                .map_err(failed)?
            {
                let reason = format!("network `{network}` does not exist: create it first");
                return Err(Stop::failed(StepName::Plan, reason));
            }
        }
        let plan = plan::decide(&self.spec, &situation);
        self.journal
            .planned(&plan, plan::steps(plan.strategy))
            .await?;
        for warning in &plan.warnings {
            self.journal.say(format!("warning: {warning}")).await?;
        }
        let summary = plan.summary.clone();
        Ok((plan, Some(summary)))
    }

    async fn pull(&self) -> Result<((), Option<String>), Stop> {
        let image = pull::pull(&self.tools.engine, &self.journal, &self.spec).await?;
        self.journal.image_is(image.labels.clone());
        let digest = image
            .digests
            .first()
            .and_then(|digest| digest.split_once('@'));
        let digest = digest.map(|(_, digest)| digest.to_owned());
        let (id, stored_digest, image_id) = (self.deploy.id, digest.clone(), image.id.clone());
        self.tools
            .store
            .write(move |tx| tx.set_deploy_image(id, stored_digest.as_deref(), Some(&image_id)))
            .await?;
        let message = digest.unwrap_or_else(|| format!("local image {}", image.id));
        Ok(((), Some(message)))
    }

    async fn create(&self) -> Result<(String, Option<String>), Stop> {
        let failed = |error: EngineError| Stop::failed(StepName::Create, error.to_string());
        let container = self.container();
        let created = match self.tools.engine.create(&container).await {
            // Left by a run of this deploy that a crash interrupted.
            Err(EngineError::Conflict { .. }) => {
                self.tools
                    .engine
                    .remove(&container.name)
                    .await
                    .map_err(failed)?;
                self.tools.engine.create(&container).await
            }
            other => other,
        };
        let id = created.map_err(failed)?;
        let (deploy, instance) = (self.deploy.id, id.clone());
        self.tools
            .store
            .write(move |tx| tx.set_deploy_instance(deploy, &instance))
            .await?;
        Ok((id, Some(container.name)))
    }

    fn container(&self) -> ContainerSpec {
        let lane = &self.deploy.lane;
        let hashed = serde_json::to_vec(&self.spec).unwrap_or_default();
        let spec_hash = hex::encode(&self.tools.keyring.mac("spec", &hashed)[..8]);
        let labels = [
            (LABEL_PROJECT, lane.project.to_string()),
            (LABEL_STAGE, lane.stage.to_string()),
            (LABEL_DEPLOY, self.deploy.id.to_string()),
            (LABEL_GENERATION, self.deploy.generation.to_string()),
            (LABEL_SPEC_HASH, spec_hash),
        ];
        let labels: BTreeMap<String, String> = labels
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        ContainerSpec {
            name: format!(
                "{}-{}-{}-0",
                lane.project, lane.stage, self.deploy.generation
            ),
            image: self.spec.image.clone(),
            spec: self.spec.clone(),
            labels,
            restart: RestartPolicy::No,
        }
    }

    /// Who serves the lane now, and which ports others hold.
    async fn situation(&self) -> Result<Situation, Stop> {
        let lane = self.deploy.lane.clone();
        let (row, instances) = self
            .tools
            .store
            .read(move |reader| Ok((reader.lane(&lane)?, reader.instances()?)))
            .await?;
        let mut situation = Situation::default();
        if let Some(serving) = row.and_then(|row| row.instance) {
            match self.tools.engine.inspect(&serving).await {
                Ok(found) if found.instance.status == InstanceStatus::Running => {
                    situation.serving = Some(serving);
                }
                Ok(_) | Err(EngineError::NotFound { .. }) => {}
                Err(error) => return Err(Stop::failed(StepName::Plan, error.to_string())),
            }
        }
        let others = instances.iter().filter(|instance| {
            situation.serving.as_deref() != Some(instance.id.as_str())
                && instance.status == InstanceStatus::Running
        });
        for other in others {
            let ports = other
                .ports
                .iter()
                .map(|port| (port.host, other.name.clone()));
            situation.taken_ports.extend(ports);
        }
        Ok(situation)
    }

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
            failpoint::reached(Failpoint::StepIntended);
            let outcome = action.await;
            failpoint::reached(Failpoint::StepActed);
            let (status, message) = match &outcome {
                Ok((_, message)) => (StepStatus::Succeeded, message.clone()),
                Err(Stop::Failed(failure)) => (StepStatus::Failed, Some(failure.reason.clone())),
                Err(Stop::Cancelled) => (StepStatus::Failed, Some("cancelled".into())),
                Err(Stop::Store(_) | Stop::Ended) => return outcome.map(|(value, _)| value),
            };
            self.journal
                .end_step(step, status, message, |_| Ok(()))
                .await?;
            failpoint::reached(Failpoint::StepRecorded);
            outcome.map(|(value, _)| value)
        }
    }

    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.spec.stop_grace_ms)
    }
}

/// Writes the end of a deploy.
pub(super) async fn conclude(
    journal: &Journal,
    outcome: Result<(), Stop>,
) -> Result<(), StoreError> {
    let (status, reason, failure) = match outcome {
        Ok(()) => (DeployStatus::Succeeded, None, None),
        Err(Stop::Failed(failure)) => {
            let failure: Failure = *failure;
            (
                DeployStatus::Failed,
                Some(failure.reason.clone()),
                Some(failure),
            )
        }
        Err(Stop::Cancelled) => (DeployStatus::Cancelled, Some("cancelled".to_owned()), None),
        Err(Stop::Store(error)) => return Err(error),
        Err(Stop::Ended) => return Ok(()),
    };
    tracing::info!(deploy = %journal.head().id, lane = %journal.head().lane, ?status, reason, "deploy ended");
    journal.finish(status, reason, failure).await.map(drop)
}
