use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{DeployError, journal::Head, run::Tools};
use crate::{
    engine::Engine,
    events::Bus,
    instances::{Operation, Planned},
    model::{Deploy, DeployId, DeployStatus, DeploySummary, Lane, Principal, Severity, Strategy},
    routing::{Caddy, DataPlane},
    store::{Keyring, OpenDeploy, Store, StoreError, Tx},
};

/// How much may be done at once on this host.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    pub deploys: usize,
    pub pulls: usize,
}

/// What it is made of.
pub struct DeployParts {
    pub store: Store,
    pub bus: Bus,
    pub engine: Engine,
    pub keyring: Arc<Keyring>,
    pub planned: Planned,
    pub data_plane: DataPlane,
    pub caddy: Caddy,
    /// Name of our own network on the engine.
    pub network: String,
    pub caps: Caps,
    /// Where `docker login` keeps its logins.
    pub docker_config: Option<PathBuf>,
    /// Whoever ends the server waits for these.
    pub tasks: TaskTracker,
}

/// Commands on projects and deploys; cheap to clone.
#[derive(Clone)]
pub struct Deploys(Arc<Shared>);

struct Shared {
    tools: Tools,
    /// There may be something to start.
    wake: Notify,
    deploys_max: usize,
    /// Deploys under way.
    running: Mutex<HashMap<DeployId, CancellationToken>>,
    /// Those that an earlier life of the server began, until they end.
    interrupted: Mutex<HashMap<DeployId, Vec<Operation>>>,
    tasks: TaskTracker,
}

/// What a transaction may refuse: told apart from the store's own errors.
pub(super) type Refusable<T> = Result<Result<T, DeployError>, StoreError>;

impl Deploys {
    pub fn new(parts: DeployParts) -> Self {
        let tools = Tools {
            store: parts.store,
            bus: parts.bus,
            engine: parts.engine,
            keyring: parts.keyring,
            planned: parts.planned,
            data_plane: parts.data_plane,
            caddy: parts.caddy,
            network: parts.network,
            addresses: Arc::default(),
            pulls: Arc::new(Semaphore::new(parts.caps.pulls)),
            docker_config: parts.docker_config,
        };
        Self(Arc::new(Shared {
            tools,
            wake: Notify::new(),
            deploys_max: parts.caps.deploys,
            running: Mutex::default(),
            interrupted: Mutex::default(),
            tasks: parts.tasks,
        }))
    }

    /// Ends a deploy: at once while it is queued, else at the next point where that is
    /// safe. While the new instance is watched, the old one takes over again.
    pub async fn cancel(&self, _: &Principal, id: DeployId) -> Result<Deploy, DeployError> {
        let deploy = self.deploy(id).await?;
        let status = deploy.summary.status;
        if status.is_terminal() {
            let message = format!("deploy `{id}` has ended already");
            return Err(DeployError::Conflict(message));
        }
        if is_too_late(&deploy) {
            return Err(DeployError::Conflict(format!(
                "deploy `{id}` is past the point where it could be cancelled: it ends in a moment"
            )));
        }
        self.write(move |tx| {
            let reason = "cancelled";
            let Some(deploy) = tx.deploy(id)? else {
                return Ok(Ok(()));
            };
            if deploy.summary.status == DeployStatus::Queued {
                let reason = "cancelled before it began";
                end_queued(tx, &deploy.summary, reason)?;
            } else {
                tx.request_cancel(id, reason)?;
            }
            Ok(Ok(()))
        })
        .await?;
        self.interrupt(id);
        self.deploy(id).await
    }

    pub async fn deploy(&self, id: DeployId) -> Result<Deploy, DeployError> {
        let found = self
            .0
            .tools
            .store
            .read(move |reader| reader.deploy(id))
            .await?;
        found.ok_or_else(|| DeployError::NotFound {
            kind: "deploy",
            name: id.to_string(),
        })
    }

    pub(super) fn tools(&self) -> &Tools {
        &self.0.tools
    }

    pub(super) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Registers a deploy that starts; the token cancels it.
    pub(super) fn begin(&self, deploy: &OpenDeploy) -> CancellationToken {
        let token = CancellationToken::new();
        if deploy.cancelled {
            token.cancel();
        }
        self.lock().insert(deploy.id, token.clone());
        token
    }

    pub(super) fn end(&self, id: DeployId) {
        self.lock().remove(&id);
        self.lock_interrupted().remove(&id);
    }

    /// What an earlier life of the server began to do to instances, until the deploy ends.
    pub(super) fn goes_on_with(&self, id: DeployId, operations: Vec<Operation>) {
        self.lock_interrupted().insert(id, operations);
    }

    /// Where what must be ended once it is begun runs, whoever waits for it.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Stops what it does, if it is under way.
    pub(super) fn interrupt(&self, id: DeployId) {
        if let Some(token) = self.lock().get(&id) {
            token.cancel();
        }
    }

    pub(super) fn wake(&self) {
        self.0.wake.notify_one();
    }

    pub(super) fn deploys_max(&self) -> usize {
        self.0.deploys_max
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tx<'_>) -> Refusable<T> + Send + 'static,
    ) -> Result<T, DeployError> {
        self.0.tools.store.write(change).await?
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeployId, CancellationToken>> {
        self.0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_interrupted(&self) -> MutexGuard<'_, HashMap<DeployId, Vec<Operation>>> {
        let interrupted = self.0.interrupted.lock();
        interrupted.unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_too_late(deploy: &Deploy) -> bool {
    let DeploySummary {
        status, strategy, ..
    } = deploy.summary;
    match status {
        DeployStatus::Retiring | DeployStatus::Restoring | DeployStatus::RollingBack => true,
        // In `stop-first` the new instance has yet to prove itself by then; where it is
        // watched afterwards, that is when it ends.
        DeployStatus::Replacing => {
            let has_old = deploy.plan.as_ref().is_some_and(|it| it.replaces.is_some());
            let is_last = match strategy {
                Some(Strategy::StartFirst) => true,
                Some(Strategy::PortHold) => !has_old,
                Some(Strategy::StopFirst) | None => false,
            };
            is_last && deploy.spec.bake_ms == 0
        }
        _ => false,
    }
}

/// Ends a deploy that waits for its turn.
pub(super) fn end_queued(
    tx: &mut Tx<'_>,
    deploy: &DeploySummary,
    reason: &str,
) -> Result<(), StoreError> {
    let head = Head {
        id: deploy.id,
        lane: Lane {
            project: deploy.project.clone(),
            stage: deploy.stage.clone(),
        },
        generation: deploy.generation,
        image: deploy.image.clone(),
        actor: deploy.actor.clone(),
        rolls_back_to: deploy.rolls_back_to,
    };
    let status = DeployStatus::Cancelled;
    let event = head.status_event(Severity::Warning, status, |payload| {
        payload.message = Some(reason.to_owned());
    });
    let last = tx.publish(event)?;
    tx.finish_deploy(deploy.id, status, Some(reason), None, last)
}
