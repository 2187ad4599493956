use rusqlite::{ToSql, params};

use super::NewDeploy;
use crate::{
    model::{DeployId, DeployStatus, EventId, Failure, Plan, StepName, StepStatus, Timestamp},
    store::{StoreError, Tx},
};

impl Tx<'_> {
    pub fn insert_deploy(&self, deploy: &NewDeploy) -> Result<DeployId, StoreError> {
        self.sql().execute(
            "INSERT INTO deploys (project, stage, generation, status, actor, spec, image,
                 created_at, rolls_back_to, image_id, digest, lane_was)
             VALUES (?1, ?2, ?3, 'queued', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                deploy.lane.project.as_str(),
                deploy.lane.stage.as_str(),
                deploy.generation,
                serde_json::to_string(&deploy.actor)?,
                serde_json::to_string(&deploy.spec)?,
                deploy.spec.image(),
                Timestamp::now().unix_ms(),
                deploy.rollback.as_ref().map(|it| it.to.0),
                deploy.rollback.as_ref().map(|it| &it.image_id),
                deploy.rollback.as_ref().map(|it| &it.digest),
                deploy.lane_was,
            ],
        )?;
        Ok(DeployId(self.sql().last_insert_rowid()))
    }

    pub fn set_first_event(&self, id: DeployId, event: EventId) -> Result<(), StoreError> {
        self.update(id, "first_event = ?2", &event.0)
    }

    pub fn set_deploy_image(
        &self,
        id: DeployId,
        digest: Option<&str>,
        image_id: Option<&str>,
    ) -> Result<(), StoreError> {
        self.sql().execute(
            "UPDATE deploys SET digest = coalesce(?2, digest), image_id = coalesce(?3, image_id)
             WHERE id = ?1",
            params![id.0, digest, image_id],
        )?;
        Ok(())
    }

    pub fn set_deploy_instance(&self, id: DeployId, instance: &str) -> Result<(), StoreError> {
        self.update(id, "instance = ?2", &instance)
    }

    /// Asks for its end; the first reason counts.
    pub fn request_cancel(&self, id: DeployId, reason: &str) -> Result<(), StoreError> {
        self.update(id, "cancel_reason = coalesce(cancel_reason, ?2)", &reason)
    }

    /// The plan, and all steps it consists of.
    pub fn set_plan(
        &self,
        id: DeployId,
        plan: &Plan,
        steps: &[StepName],
    ) -> Result<(), StoreError> {
        let strategy = serde_json::to_value(plan.strategy)?;
        self.sql().execute(
            "UPDATE deploys SET plan = ?2, strategy = ?3, replaces = ?4 WHERE id = ?1",
            params![
                id.0,
                serde_json::to_string(plan)?,
                strategy.as_str(),
                plan.replaces
            ],
        )?;
        for step in steps {
            self.add_step(id, *step)?;
        }
        Ok(())
    }

    /// Intent: written before the step acts. False when the deploy has ended.
    pub fn start_step(
        &self,
        id: DeployId,
        step: StepName,
        status: DeployStatus,
    ) -> Result<bool, StoreError> {
        let now = Timestamp::now().unix_ms();
        let open = self.sql().execute(
            "UPDATE deploys SET status = ?2, started_at = coalesce(started_at, ?3)
             WHERE id = ?1 AND ended_at IS NULL",
            params![id.0, status.as_str(), now],
        )?;
        if open == 0 {
            return Ok(false);
        }
        self.add_step(id, step)?;
        self.sql().execute(
            "UPDATE deploy_steps SET status = 'running', started_at = coalesce(started_at, ?3)
             WHERE deploy = ?1 AND name = ?2",
            params![id.0, step.as_str(), now],
        )?;
        Ok(true)
    }

    /// Result: written after it has acted.
    pub fn end_step(
        &self,
        id: DeployId,
        step: StepName,
        status: StepStatus,
        message: Option<&str>,
    ) -> Result<(), StoreError> {
        self.sql().execute(
            "UPDATE deploy_steps SET status = ?3, ended_at = ?4, message = ?5
             WHERE deploy = ?1 AND name = ?2",
            params![
                id.0,
                step.as_str(),
                word(&status)?,
                Timestamp::now().unix_ms(),
                message
            ],
        )?;
        Ok(())
    }

    /// The last that is written of a deploy, with its last event.
    pub fn finish_deploy(
        &self,
        id: DeployId,
        status: DeployStatus,
        reason: Option<&str>,
        failure: Option<&Failure>,
        last_event: EventId,
    ) -> Result<(), StoreError> {
        let failure = failure.map(serde_json::to_string).transpose()?;
        self.sql().execute(
            "UPDATE deploys SET status = ?2, reason = ?3, failure = ?4, ended_at = ?5, last_event = ?6
             WHERE id = ?1",
            params![id.0, status.as_str(), reason, failure, Timestamp::now().unix_ms(), last_event.0],
        )?;
        self.sql().execute(
            "UPDATE deploy_steps SET status = 'skipped' WHERE deploy = ?1 AND status = 'pending'",
            [id.0],
        )?;
        Ok(())
    }

    fn add_step(&self, id: DeployId, step: StepName) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO deploy_steps (deploy, position, name, status)
             SELECT ?1, (SELECT count(*) FROM deploy_steps WHERE deploy = ?1), ?2, 'pending'
             WHERE NOT EXISTS (SELECT 1 FROM deploy_steps WHERE deploy = ?1 AND name = ?2)",
            params![id.0, step.as_str()],
        )?;
        Ok(())
    }

    fn update(&self, id: DeployId, set: &str, value: &dyn ToSql) -> Result<(), StoreError> {
        let sql = format!("UPDATE deploys SET {set} WHERE id = ?1");
        self.sql()
            .prepare_cached(&sql)?
            .execute(params![id.0, value])?;
        Ok(())
    }
}

/// The one word that an enum has on the wire.
fn word(value: &impl serde::Serialize) -> Result<String, StoreError> {
    Ok(serde_json::to_value(value)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}
