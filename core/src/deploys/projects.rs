use std::time::Duration;

use super::{DeployError, Deploys, service::Refusable};
use crate::{
    model::{
        InstanceStatus, Lane, NewEvent, Payload, Principal, Project, ProjectChange, ProjectName,
        ProjectStatusPayload, Severity, Spec, SpecError, StageName, Subject,
    },
    store::{SealedSpec, SecretField, Tx},
};

const STOP_GRACE: Duration = Duration::from_secs(10);

impl Deploys {
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
                return Ok(Err(DeployError::NameTaken(name.to_string())));
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
            .tools()
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
    /// `stop` says that they shall be stopped and removed. Ends what it has begun, also
    /// where nobody waits for it any more.
    pub async fn delete_project(
        &self,
        principal: &Principal,
        name: ProjectName,
        stop: bool,
    ) -> Result<(), DeployError> {
        let (deploys, principal) = (self.clone(), principal.clone());
        let deleting = async move { deploys.delete(&principal, name, stop).await };
        match self.tasks().spawn(deleting).await {
            Ok(outcome) => outcome,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn delete(
        &self,
        principal: &Principal,
        name: ProjectName,
        stop: bool,
    ) -> Result<(), DeployError> {
        let wanted = name.clone();
        let project = self
            .tools()
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
        let lanes = project.stages.iter().map(|stage| Lane {
            project: name.clone(),
            stage: stage.stage.clone(),
        });
        let lanes: Vec<Lane> = lanes.collect();
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
        // Before anything is gone: it may fail.
        for lane in &lanes {
            let released = self.tools().caddy.lead(&lane.to_string(), &[]).await;
            released.map_err(|error| DeployError::Conflict(error.to_string()))?;
        }
        for instance in &instances {
            self.stop_and_remove(&instance.id).await?;
        }
        for lane in &lanes {
            let released = self.tools().data_plane.lead(&lane.to_string(), &[]).await;
            released.map_err(|error| DeployError::Conflict(error.to_string()))?;
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

    async fn stop_and_remove(&self, id: &str) -> Result<(), DeployError> {
        let _stopping = self.tools().planned.stops(id);
        match self.tools().engine.stop(id, STOP_GRACE).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        Ok(self.tools().engine.remove(id).await?)
    }

    fn check_and_seal(
        &self,
        spec: Spec,
        before: Option<&SealedSpec>,
        lane: &Lane,
    ) -> Result<SealedSpec, DeployError> {
        let mut problems = spec.problems();
        let sealed = SealedSpec::seal(spec, before, lane, &self.tools().keyring);
        for SecretField { field, name, .. } in sealed.as_ref().err().into_iter().flatten() {
            problems.push(SpecError {
                field: field.clone(),
                message: format!("secret `{name}` has no stored value yet: give one"),
            });
        }
        match sealed {
            Ok(sealed) if problems.is_empty() => Ok(sealed),
            _ => Err(DeployError::Invalid(problems)),
        }
    }
}

fn found_project(tx: &Tx<'_>, name: &ProjectName) -> Refusable<Project> {
    Ok(tx.project(name)?.ok_or_else(|| no_project(name)))
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
