use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{
    DeployError,
    error::Stop,
    holdable,
    journal::{Head, ImageFacts, Journal},
    output, own_container, plan, pull, registry, rollback, situation, switch,
};
use crate::{
    engine::{Engine, EngineError, Login, image_labels},
    events::Bus,
    instances::Planned,
    model::{DeployStatus, Plan, Spec, StepName, Strategy},
    routing::{Caddy, DataPlane},
    scrub::Scrubber,
    store::{Keyring, OpenDeploy, Store, StoreError, Tx},
};

/// What deploys work with; cheap to clone.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) store: Store,
    pub(super) bus: Bus,
    pub(super) engine: Engine,
    pub(super) keyring: Arc<Keyring>,
    pub(super) planned: Planned,
    pub(super) data_plane: DataPlane,
    pub(super) caddy: Caddy,
    /// Ours, where it leads to instances.
    pub(super) network: String,
    /// One chooses an address at a time.
    pub(super) addresses: Arc<Mutex<()>>,
    /// Pulls at once on this host.
    pub(super) pulls: Arc<Semaphore>,
    /// Docker's own `config.json`, where logins to registries are.
    pub(super) docker_config: Option<PathBuf>,
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
        let secrets: Vec<String> = opened.iter().flat_map(Spec::secret_values).collect();
        let head = Head {
            id: deploy.id,
            lane: deploy.lane.clone(),
            generation: deploy.generation,
            image: deploy.spec.image().to_owned(),
            actor: deploy.actor.clone(),
            rolls_back_to: deploy.rollback.as_ref().map(|it| it.to),
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
    /// any more: it is taken up again.
    pub(super) async fn through(self) -> Result<(), StoreError> {
        let outcome = self.steps().await;
        match outcome {
            Ok(()) => self.succeed().await,
            Err(stop) => conclude(&self.journal, stop).await,
        }
    }

    /// The walkthrough. `stop-first` does step 6 before step 4. After a stop of the
    /// server it goes on with the step that was interrupted; the first three begin again.
    async fn steps(&self) -> Result<(), Stop> {
        let (plan, candidate, turned) = match self.interrupted().await? {
            Some((plan, candidate)) => (plan, candidate, rollback::why_turned_back(self).await?),
            None => {
                // 1. Plan: what is there, what will be done, whether nobody serves meanwhile.
                let plan = self.interruptible(StepName::Plan, self.plan()).await?;
                // 2. Pull: the image is on the engine; the running instance is untouched.
                let image = self.interruptible(StepName::Pull, self.pull()).await?;
                // 3. Create the candidate.
                let created = self.create(&plan, &image);
                let candidate = self.interruptible(StepName::Create, created).await?;
                (plan, candidate, None)
            }
        };
        let _watching = self.tools.planned.watches(&candidate);
        // 4. … 9. Start, gate, replace, drain, bake, retire, with the candidate's output in the log.
        let decided = CancellationToken::new();
        let following = output::follow(self, &candidate, decided.clone());
        let switching = async {
            let outcome = match (turned, plan.strategy) {
                (Some(why), _) => Err(self.turn_back_again(&plan, &candidate, why).await),
                (None, Strategy::StartFirst) => switch::start_first(self, &plan, &candidate).await,
                (None, Strategy::StopFirst) => switch::stop_first(self, &plan, &candidate).await,
                (None, Strategy::PortHold) => switch::port_hold(self, &plan, &candidate).await,
            };
            decided.cancel();
            outcome
        };
        let (outcome, ()) = tokio::join!(switching, following);
        outcome
    }

    /// Plan and candidate of a deploy that a stop of the server interrupted after
    /// they were made.
    async fn interrupted(&self) -> Result<Option<(Plan, String)>, Stop> {
        let Some(step) = step_of(self.deploy.status) else {
            return Ok(None);
        };
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = self.tools.engine.until_connected() => {}
        }
        let known = self.deploy.plan.clone().zip(self.deploy.instance.clone());
        let early = matches!(step, StepName::Plan | StepName::Pull | StepName::Create);
        let known = known.filter(|_| !early);
        let (step, how) = match &known {
            Some(_) => (step.as_str(), "and goes on there"),
            None => (step.as_str(), "and begins again"),
        };
        let line = format!("the server was stopped while this deploy was in step `{step}`, {how}");
        self.journal.say(line).await?;
        if let Some((plan, candidate)) = &known {
            self.journal.goes_on_with(plan.strategy);
            let found = self.tools.engine.inspect(candidate).await;
            let labels = found.map(|found| image_labels(&found.instance.labels));
            self.journal.image_is(ImageFacts {
                labels: labels.unwrap_or_default(),
                digest: self.deploy.digest.clone(),
            });
        }
        Ok(known)
    }

    /// A stop of the server came between the failure of a step and the way back.
    async fn turn_back_again(&self, plan: &Plan, candidate: &str, why: Stop) -> Stop {
        match self.deploy.status {
            DeployStatus::RollingBack => rollback::reverse(self, plan, candidate, why).await,
            _ => switch::turn_back(self, plan, candidate, why).await,
        }
    }

    /// An earlier life of this deploy has done this step.
    pub(super) fn has_done(&self, plan: &Plan, step: StepName) -> bool {
        let steps = plan::steps(plan, self.spec.bake_ms);
        let place = |wanted| steps.iter().position(|known| *known == wanted);
        step_of(self.deploy.status).and_then(place) > place(step)
    }

    async fn plan(&self) -> Result<(Plan, Option<String>), Stop> {
        let failed = |error: EngineError| Stop::failed(StepName::Plan, error.to_string());
        if plan::wants_hold(&self.spec) {
            // Whether it can be is seen by it.
            let network = self.tools.engine.own_network(&self.tools.network);
            network.await.map_err(failed)?;
        }
        let situation = situation::of(&self.tools, &self.deploy.lane, &self.spec).await;
        let situation = situation.map_err(|error| match error {
            DeployError::Store(error) => Stop::Store(error),
            other => Stop::failed(StepName::Plan, other.to_string()),
        })?;
        if situation.serving.is_some() && situation.serving == own_container::id() {
            return Err(Stop::failed(
                StepName::Plan,
                "this deploy would stop tiny-forge itself: update it from outside",
            ));
        }
        for network in &self.spec.networks {
            let exists = self.tools.engine.network_exists(network).await;
            if !exists.map_err(failed)? {
                return Err(Stop::failed(StepName::Plan, plan::no_network(network)));
            }
        }
        let mut plan = plan::decide(&self.spec, &situation);
        let (tools, lane) = (&self.tools, &self.deploy.lane);
        let problem = holdable::problem(tools, lane, &self.spec, &situation).await?;
        if let Some(problem) = problem {
            return Err(Stop::failed(StepName::Plan, problem));
        }
        // Until the plan with the address is written.
        let choosing = tools.addresses.lock().await;
        if plan::is_held(&self.spec, &situation) == Ok(true) {
            plan.address = Some(self.free_address().await?);
            plan.loopback = self.loopback_ports().await?;
        }
        if self.deploy.rollback.is_some() {
            plan.warnings.extend(plan::not_rolled_back(&self.spec));
        }
        self.journal
            .planned(&plan, &plan::steps(&plan, self.spec.bake_ms))
            .await?;
        drop(choosing);
        for warning in &plan.warnings {
            self.journal.say(format!("warning: {warning}")).await?;
        }
        let summary = plan.summary.clone();
        Ok((plan, Some(summary)))
    }

    /// What a container is to be made of.
    async fn pull(&self) -> Result<(String, Option<String>), Stop> {
        let pulled = pull::pull(self).await?;
        let digest = pulled.image.digest_in(&self.spec.image);
        // Known of old, and by its id alone it is on the engine still.
        let of_old = self.deploy.rollback.as_ref();
        let digest = digest.or_else(|| of_old?.digest.clone());
        self.journal.image_is(ImageFacts {
            labels: pulled.image.labels.clone(),
            digest: digest.clone(),
        });
        let (id, stored_digest, image_id) =
            (self.deploy.id, digest.clone(), pulled.image.id.clone());
        self.tools
            .store
            .write(move |tx| tx.set_deploy_image(id, stored_digest.as_deref(), Some(&image_id)))
            .await?;
        let message = digest.unwrap_or_else(|| format!("local image {}", pulled.image.id));
        Ok((pulled.reference, Some(message)))
    }

    /// The lane names it as the one that serves.
    pub(super) async fn serves(&self, candidate: &str) -> Result<bool, StoreError> {
        let lane = self.deploy.lane.clone();
        let row = self
            .tools
            .store
            .read(move |reader| reader.lane(&lane))
            .await?;
        Ok(row.and_then(|row| row.instance).as_deref() == Some(candidate))
    }

    /// What was given for this deploy is the lane's from now on, unless somebody has
    /// changed the lane meanwhile.
    async fn succeed(&self) -> Result<(), StoreError> {
        let (lane, spec) = (self.deploy.lane.clone(), self.deploy.spec.clone());
        let lane_was = self.deploy.lane_was.clone();
        tracing::info!(deploy = %self.deploy.id, %lane, "deploy succeeded");
        let keep = move |tx: &mut Tx<'_>| {
            let is_as_it_was = match tx.lane(&lane)? {
                Some(row) => lane_was == Some(row.spec.fingerprint()?),
                None => false,
            };
            if is_as_it_was {
                tx.put_lane(&lane, &spec)?;
            }
            Ok(())
        };
        let ended = self
            .journal
            .finish(DeployStatus::Succeeded, None, None, keep);
        ended.await.map(drop)
    }

    pub(super) async fn login(&self, reference: &str) -> Option<Login> {
        let docker = self.tools.docker_config.as_deref();
        registry::login(&self.spec, reference, docker).await
    }

    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.spec.stop_grace_ms)
    }
}

/// Writes the end of a deploy that did not succeed.
pub(super) async fn conclude(journal: &Journal, stop: Stop) -> Result<(), StoreError> {
    let (status, failure) = match stop {
        Stop::Failed(failure) => (DeployStatus::Failed, Some(*failure)),
        Stop::RolledBack(failure) => (DeployStatus::RolledBack, Some(*failure)),
        Stop::Cancelled => (DeployStatus::Cancelled, None),
        Stop::Store(error) => return Err(error),
        Stop::Ended => return Ok(()),
    };
    let reason = match &failure {
        Some(failure) => failure.reason.clone(),
        None => journal.why_cancelled().await?,
    };
    tracing::info!(deploy = %journal.head().id, lane = %journal.head().lane, ?status, reason, "deploy ended");
    let ended = journal.finish(status, Some(reason), failure, |_| Ok(()));
    ended.await.map(drop)
}

/// The step that a deploy of this status is in; none while it waits for its turn.
const fn step_of(status: DeployStatus) -> Option<StepName> {
    Some(match status {
        DeployStatus::Planning => StepName::Plan,
        DeployStatus::Pulling => StepName::Pull,
        DeployStatus::Creating => StepName::Create,
        DeployStatus::Starting => StepName::Start,
        DeployStatus::Gating => StepName::Gate,
        DeployStatus::Replacing => StepName::Replace,
        DeployStatus::Draining => StepName::Drain,
        DeployStatus::Baking => StepName::Bake,
        DeployStatus::Retiring => StepName::Retire,
        DeployStatus::Restoring => StepName::Restore,
        DeployStatus::RollingBack => StepName::Rollback,
        DeployStatus::Queued
        | DeployStatus::Succeeded
        | DeployStatus::Failed
        | DeployStatus::Cancelled
        | DeployStatus::RolledBack => return None,
    })
}
