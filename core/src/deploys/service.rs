use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    DeployError,
    journal::{Head, Journal},
    run::Tools,
};
use crate::{
    engine::Engine,
    events::Bus,
    instances::Planned,
    model::{
        Deploy, DeployId, DeployStatus, DeployStatusPayload, DeploySummary, Lane, NewEvent,
        Payload, Principal, Severity, Strategy, Subject,
    },
    scrub::Scrubber,
    store::{Keyring, NewDeploy, Store, StoreError, Tx},
};

/// Commands on projects and deploys; cheap to clone.
#[derive(Clone)]
pub struct Deploys(Arc<Shared>);

struct Shared {
    tools: Tools,
    /// There may be something to start.
    wake: Notify,
    /// Deploys under way.
    running: Mutex<HashMap<DeployId, CancellationToken>>,
}

/// What a transaction may refuse: told apart from the store's own errors.
pub(super) type Refusable<T> = Result<Result<T, DeployError>, StoreError>;

impl Deploys {
    pub fn new(
        store: Store,
        bus: Bus,
        engine: Engine,
        keyring: Arc<Keyring>,
        planned: Planned,
    ) -> Self {
        let tools = Tools {
            store,
            bus,
            engine,
            keyring,
            planned,
        };
        Self(Arc::new(Shared {
            tools,
            wake: Notify::new(),
            running: Mutex::default(),
        }))
    }

    /// Queues a deploy of what the lane's specification says now; `image`
    /// replaces its image, for good if the deploy succeeds.
    pub async fn create_deploy(
        &self,
        principal: &Principal,
        lane: Lane,
        image: Option<String>,
    ) -> Result<Deploy, DeployError> {
        let actor = principal.actor();
        let deploy = self
            .write(move |tx| {
                let Some(row) = tx.lane(&lane)? else {
                    let kind = if tx.project(&lane.project)?.is_none() {
                        "project"
                    } else {
                        "stage"
                    };
                    let name = if kind == "project" {
                        lane.project.to_string()
                    } else {
                        lane.to_string()
                    };
                    return Ok(Err(DeployError::NotFound { kind, name }));
                };
                let spec = image.map_or(row.spec.clone(), |image| row.spec.with_image(image));
                let problems = spec.masked().problems();
                if !problems.is_empty() {
                    return Ok(Err(DeployError::Invalid(problems)));
                }
                let generation = tx.next_generation(&lane)?;
                let new = NewDeploy {
                    lane,
                    generation,
                    actor,
                    spec,
                };
                let id = tx.insert_deploy(&new)?;
                let first = tx.publish(queued_event(&new, id))?;
                tx.set_first_event(id, first)?;
                found_deploy(tx, id)
            })
            .await?;
        self.0.wake.notify_one();
        Ok(deploy)
    }

    /// Ends a deploy: at once while it is queued, else at the next point where
    /// that is safe. Refused once the new instance is taking over.
    pub async fn cancel(&self, _: &Principal, id: DeployId) -> Result<Deploy, DeployError> {
        let deploy = self.deploy(id).await?;
        let DeploySummary {
            status, strategy, ..
        } = deploy.summary;
        // In `stop-first` the new instance has yet to prove itself by then.
        let takes_over =
            status == DeployStatus::Replacing && strategy == Some(Strategy::StartFirst);
        match status {
            DeployStatus::Queued => self.cancel_queued(&deploy).await?,
            _ if status.is_terminal() => {
                return Err(DeployError::Conflict(format!(
                    "deploy `{id}` has ended already"
                )));
            }
            DeployStatus::Retiring | DeployStatus::Restoring => return Err(too_late(id)),
            _ if takes_over => return Err(too_late(id)),
            _ => {
                if let Some(token) = self.lock().get(&id) {
                    token.cancel();
                }
            }
        }
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
    pub(super) fn begin(&self, id: DeployId) -> CancellationToken {
        let token = CancellationToken::new();
        self.lock().insert(id, token.clone());
        token
    }

    pub(super) fn end(&self, id: DeployId) {
        self.lock().remove(&id);
    }

    async fn cancel_queued(&self, deploy: &Deploy) -> Result<(), DeployError> {
        let summary = &deploy.summary;
        let head = Head {
            id: summary.id,
            lane: Lane {
                project: summary.project.clone(),
                stage: summary.stage.clone(),
            },
            generation: summary.generation,
            image: summary.image.clone(),
            actor: summary.actor.clone(),
        };
        let Tools { store, bus, .. } = self.tools().clone();
        let journal = Journal::new(store, bus, head, Scrubber::default());
        let begun = !journal.cancel_queued().await?;
        if begun && let Some(token) = self.lock().get(&summary.id) {
            token.cancel();
        }
        Ok(())
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tx<'_>) -> Refusable<T> + Send + 'static,
    ) -> Result<T, DeployError> {
        self.0.tools.store.write(change).await?
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DeployId, CancellationToken>> {
        self.0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_late(id: DeployId) -> DeployError {
    DeployError::Conflict(format!(
        "deploy `{id}` is past the point where it could be cancelled: it ends in a moment"
    ))
}

fn found_deploy(tx: &Tx<'_>, id: DeployId) -> Refusable<Deploy> {
    let missing = || DeployError::NotFound {
        kind: "deploy",
        name: id.to_string(),
    };
    Ok(tx.deploy(id)?.ok_or_else(missing))
}

fn queued_event(deploy: &NewDeploy, id: DeployId) -> NewEvent {
    let payload = DeployStatusPayload {
        deploy_id: id,
        project: deploy.lane.project.clone(),
        stage: deploy.lane.stage.clone(),
        generation: deploy.generation,
        status: DeployStatus::Queued,
        image: deploy.spec.image().to_owned(),
        image_labels: BTreeMap::new(),
        step: None,
        step_status: None,
        duration_ms: None,
        message: None,
        strategy: None,
        plan: None,
        progress: None,
        failure: None,
    };
    let subject = Subject::deploy(&deploy.lane, id);
    let payload = Payload::DeployStatus(Box::new(payload));
    NewEvent::new(subject, Severity::Info, deploy.actor.clone(), payload)
}
