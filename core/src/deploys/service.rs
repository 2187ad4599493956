use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
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
        Deploy, DeployId, DeployStatus, DeployStatusPayload, InstanceStatus, Lane, NewEvent,
        Payload, Principal, Project, ProjectChange, ProjectName, ProjectStatusPayload, Severity,
        Spec, SpecError, StageName, Subject,
    },
    scrub::Scrubber,
    store::{Keyring, NewDeploy, SealedSpec, Store, StoreError, Tx},
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
type Refusable<T> = Result<Result<T, DeployError>, StoreError>;

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

    /// Makes a project with its first stage.
    pub async fn create_project(
        &self,
        principal: &Principal,
        name: ProjectName,
        stage: StageName,
        spec: Spec,
    ) -> Result<Project, DeployError> {
        let lane = Lane {
            project: name.clone(),
            stage,
        };
        let sealed = self.check_and_seal(spec, None, &lane)?;
        let event = project_event(principal, &lane, ProjectChange::Created);
        self.write(move |tx| {
            if !tx.insert_project(&name)? {
                let message = format!("project `{name}` exists already: choose another name");
                return Ok(Err(DeployError::Conflict(message)));
            }
            tx.put_lane(&lane, &sealed)?;
            tx.publish(event)?;
            found_project(tx, &name)
        })
        .await
    }

    /// Replaces what the next deploy of a stage will run; makes a new stage.
    pub async fn update_lane(
        &self,
        principal: &Principal,
        lane: Lane,
        spec: Spec,
    ) -> Result<Project, DeployError> {
        let wanted = lane.clone();
        let before = self
            .0
            .tools
            .store
            .read(move |reader| reader.lane(&wanted))
            .await?;
        let sealed = self.check_and_seal(spec, before.map(|row| row.spec).as_ref(), &lane)?;
        let event = project_event(principal, &lane, ProjectChange::Updated);
        self.write(move |tx| {
            let project = lane.project.clone();
            if tx.project(&project)?.is_none() {
                return Ok(Err(no_project(&project)));
            }
            tx.put_lane(&lane, &sealed)?;
            tx.publish(event)?;
            found_project(tx, &project)
        })
        .await
    }

    /// Forgets a project. Refused while it has running instances, unless
    /// `stop` says that they shall be stopped and removed.
    pub async fn delete_project(
        &self,
        principal: &Principal,
        name: ProjectName,
        stop: bool,
    ) -> Result<(), DeployError> {
        let wanted = name.clone();
        let project = self
            .0
            .tools
            .store
            .read(move |reader| reader.project(&wanted))
            .await?;
        let project = project.ok_or_else(|| no_project(&name))?;
        if project
            .stages
            .iter()
            .any(|stage| stage.active_deploy.is_some() || stage.queued > 0)
        {
            let message = format!("project `{name}` has deploys under way: cancel them first");
            return Err(DeployError::Conflict(message));
        }
        let instances: Vec<_> = project
            .stages
            .into_iter()
            .flat_map(|stage| stage.instances)
            .collect();
        let running = instances
            .iter()
            .any(|it| it.status == InstanceStatus::Running);
        if running && !stop {
            let message =
                format!("project `{name}` has running instances: stop them too with `?stop=true`");
            return Err(DeployError::Conflict(message));
        }
        for instance in &instances {
            self.0.tools.planned.begin(&instance.id);
            let stopped = self.stop_and_remove(&instance.id).await;
            self.0.tools.planned.end(&instance.id);
            stopped?;
        }
        let lane = Lane {
            project: name.clone(),
            stage: StageName::default(),
        };
        let mut event = project_event(principal, &lane, ProjectChange::Deleted);
        event.subject = Subject::project(&name);
        self.write(move |tx| {
            if !tx.delete_project(&name)? {
                return Ok(Err(no_project(&name)));
            }
            tx.publish(event)?;
            Ok(Ok(()))
        })
        .await
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
        match deploy.summary.status {
            DeployStatus::Queued => self.cancel_queued(&deploy).await?,
            status if status.is_terminal() => {
                return Err(DeployError::Conflict(format!(
                    "deploy `{id}` has ended already"
                )));
            }
            DeployStatus::Retiring | DeployStatus::Restoring => {
                return Err(DeployError::Conflict(format!(
                    "deploy `{id}` is past the point where it could be cancelled: it ends in a moment"
                )));
            }
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

    async fn stop_and_remove(&self, id: &str) -> Result<(), DeployError> {
        match self.0.tools.engine.stop(id, Duration::from_secs(10)).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        Ok(self.0.tools.engine.remove(id).await?)
    }

    fn check_and_seal(
        &self,
        spec: Spec,
        before: Option<&SealedSpec>,
        lane: &Lane,
    ) -> Result<SealedSpec, DeployError> {
        let mut problems = spec.problems();
        let names: Vec<String> = spec.env.iter().map(|entry| entry.name.clone()).collect();
        let sealed = SealedSpec::seal(spec, before, lane, &self.0.tools.keyring);
        for name in sealed.as_ref().err().into_iter().flatten() {
            let place = names
                .iter()
                .position(|known| known == name)
                .unwrap_or_default();
            problems.push(SpecError {
                field: format!("/env/{place}/value"),
                message: format!("secret `{name}` has no stored value yet: give one"),
            });
        }
        match sealed {
            Ok(sealed) if problems.is_empty() => Ok(sealed),
            _ => Err(DeployError::Invalid(problems)),
        }
    }

    async fn write<T: Send + 'static>(
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

fn found_project(tx: &Tx<'_>, name: &ProjectName) -> Refusable<Project> {
    Ok(tx.project(name)?.ok_or_else(|| no_project(name)))
}

fn found_deploy(tx: &Tx<'_>, id: DeployId) -> Refusable<Deploy> {
    let missing = || DeployError::NotFound {
        kind: "deploy",
        name: id.to_string(),
    };
    Ok(tx.deploy(id)?.ok_or_else(missing))
}

fn no_project(name: &ProjectName) -> DeployError {
    DeployError::NotFound {
        kind: "project",
        name: name.to_string(),
    }
}

fn project_event(principal: &Principal, lane: &Lane, change: ProjectChange) -> NewEvent {
    let payload = Payload::ProjectStatus(ProjectStatusPayload {
        project: lane.project.clone(),
        change,
        stage: (change != ProjectChange::Deleted).then(|| lane.stage.clone()),
    });
    NewEvent::new(
        Subject::lane(lane),
        Severity::Info,
        principal.actor(),
        payload,
    )
}

fn queued_event(deploy: &NewDeploy, id: DeployId) -> NewEvent {
    let payload = DeployStatusPayload {
        deploy_id: id,
        project: deploy.lane.project.clone(),
        stage: deploy.lane.stage.clone(),
        generation: deploy.generation,
        status: DeployStatus::Queued,
        image: deploy.spec.image().to_owned(),
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
