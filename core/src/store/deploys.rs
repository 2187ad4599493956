use rusqlite::{Row, ToSql, params, types::Value};

use super::{Reader, SealedSpec, StoreError, Tx};
use crate::model::{
    Actor, Deploy, DeployId, DeployStatus, DeploySummary, EventId, Failure, Lane, Plan, Step,
    StepName, StepStatus, Timestamp,
};

/// A deploy that somebody asked for.
#[derive(Debug, Clone)]
pub struct NewDeploy {
    pub lane: Lane,
    pub generation: i64,
    pub actor: Actor,
    pub spec: SealedSpec,
}

/// Which deploys to list.
#[derive(Debug, Clone, Default)]
pub struct DeployQuery {
    pub projects: Vec<String>,
    pub stages: Vec<String>,
    pub statuses: Vec<DeployStatus>,
    /// Only ids below.
    pub before: Option<DeployId>,
    pub limit: usize,
}

/// What is known of a deploy that has not ended.
#[derive(Debug, Clone)]
pub struct OpenDeploy {
    pub id: DeployId,
    pub lane: Lane,
    pub generation: i64,
    pub status: DeployStatus,
    pub spec: SealedSpec,
    pub actor: Actor,
    pub instance: Option<String>,
    pub replaces: Option<String>,
    pub plan: Option<Plan>,
}

impl Tx<'_> {
    pub fn insert_deploy(&self, deploy: &NewDeploy) -> Result<DeployId, StoreError> {
        self.sql().execute(
            "INSERT INTO deploys (project, stage, generation, status, actor, spec, image, created_at)
             VALUES (?1, ?2, ?3, 'queued', ?4, ?5, ?6, ?7)",
            params![
                deploy.lane.project.as_str(),
                deploy.lane.stage.as_str(),
                deploy.generation,
                serde_json::to_string(&deploy.actor)?,
                serde_json::to_string(&deploy.spec)?,
                deploy.spec.image(),
                Timestamp::now().unix_ms(),
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
             WHERE id = ?1 AND status NOT IN ('succeeded', 'failed', 'cancelled')",
            params![id.0, status.as_str(), now],
        )?;
        if open == 0 {
            return Ok(false);
        }
        self.add_step(id, step)?;
        self.sql().execute(
            "UPDATE deploy_steps SET status = 'running', started_at = ?3
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

const COLUMNS: &str =
    "id, project, stage, generation, status, actor, spec, image, digest, image_id,
    strategy, plan, failure, reason, instance, created_at, started_at, ended_at, first_event,
    last_event, (SELECT name FROM deploy_steps WHERE deploy = deploys.id AND status = 'running')";

impl Reader<'_> {
    pub fn deploy(&self, id: DeployId) -> Result<Option<Deploy>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM deploys WHERE id = ?1");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let mut rows = statement.query([id.0])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let spec: SealedSpec = serde_json::from_str(&row.get::<_, String>(6)?)?;
        Ok(Some(Deploy {
            summary: summary(row)?,
            digest: row.get(8)?,
            image_id: row.get(9)?,
            spec: spec.masked(),
            plan: json(row.get(11)?)?,
            steps: self.steps(id)?,
            failure: json(row.get(12)?)?,
            instance: row.get(14)?,
            first_event: row.get::<_, Option<i64>>(18)?.map(EventId),
            last_event: row.get::<_, Option<i64>>(19)?.map(EventId),
        }))
    }

    /// Newest first.
    pub fn deploys(&self, query: &DeployQuery) -> Result<Vec<DeploySummary>, StoreError> {
        let mut values: Vec<Value> = Vec::new();
        let mut condition = String::from("1 = 1");
        let statuses = query
            .statuses
            .iter()
            .map(|status| status.as_str().to_owned())
            .collect();
        let lists = [
            ("project", &query.projects),
            ("stage", &query.stages),
            ("status", &statuses),
        ];
        for (column, wanted) in lists {
            if !wanted.is_empty() {
                let marks = vec!["?"; wanted.len()].join(", ");
                condition.push_str(&format!(" AND {column} IN ({marks})"));
                values.extend(wanted.iter().cloned().map(Value::Text));
            }
        }
        if let Some(before) = query.before {
            condition.push_str(" AND id < ?");
            values.push(Value::Integer(before.0));
        }
        values.push(Value::Integer(
            i64::try_from(query.limit).unwrap_or(i64::MAX),
        ));
        let sql =
            format!("SELECT {COLUMNS} FROM deploys WHERE {condition} ORDER BY id DESC LIMIT ?");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(summary(row)?);
        }
        Ok(found)
    }

    pub fn latest_deploy(&self, lane: &Lane) -> Result<Option<DeploySummary>, StoreError> {
        let query = DeployQuery {
            projects: vec![lane.project.to_string()],
            stages: vec![lane.stage.to_string()],
            limit: 1,
            ..DeployQuery::default()
        };
        Ok(self.deploys(&query)?.pop())
    }

    /// Everything that has not ended, oldest first.
    pub fn open_deploys(&self) -> Result<Vec<OpenDeploy>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT id, project, stage, generation, status, spec, actor, instance, replaces, plan
             FROM deploys WHERE status NOT IN ('succeeded', 'failed', 'cancelled') ORDER BY id",
        )?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(OpenDeploy {
                id: DeployId(row.get(0)?),
                lane: lane_of(row, 1, 2)?,
                generation: row.get(3)?,
                status: status_of(row, 4)?,
                spec: serde_json::from_str(&row.get::<_, String>(5)?)?,
                actor: serde_json::from_str(&row.get::<_, String>(6)?)?,
                instance: row.get(7)?,
                replaces: row.get(8)?,
                plan: json(row.get(9)?)?,
            });
        }
        Ok(found)
    }

    fn steps(&self, id: DeployId) -> Result<Vec<Step>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT name, status, started_at, ended_at, message FROM deploy_steps
             WHERE deploy = ?1 ORDER BY position",
        )?;
        let mut rows = statement.query([id.0])?;
        let mut steps = Vec::new();
        while let Some(row) = rows.next()? {
            let time = |column| -> Result<Option<Timestamp>, StoreError> {
                Ok(row
                    .get::<_, Option<i64>>(column)?
                    .map(Timestamp::from_unix_ms))
            };
            let (started_at, ended_at) = (time(2)?, time(3)?);
            steps.push(Step {
                name: parse_word(&row.get::<_, String>(0)?)?,
                status: parse_word(&row.get::<_, String>(1)?)?,
                started_at,
                ended_at,
                duration_ms: started_at.zip(ended_at).map(|(from, to)| to.ms_since(from)),
                message: row.get(4)?,
            });
        }
        Ok(steps)
    }
}

fn summary(row: &Row<'_>) -> Result<DeploySummary, StoreError> {
    let Lane { project, stage } = lane_of(row, 1, 2)?;
    let time = |column| -> Result<Option<Timestamp>, StoreError> {
        Ok(row
            .get::<_, Option<i64>>(column)?
            .map(Timestamp::from_unix_ms))
    };
    let strategy: Option<String> = row.get(10)?;
    let current_step: Option<String> = row.get(20)?;
    Ok(DeploySummary {
        id: DeployId(row.get(0)?),
        project,
        stage,
        image: row.get(7)?,
        status: status_of(row, 4)?,
        strategy: strategy.map(|word| parse_word(&word)).transpose()?,
        generation: row.get(3)?,
        actor: serde_json::from_str(&row.get::<_, String>(5)?)?,
        created_at: Timestamp::from_unix_ms(row.get(15)?),
        started_at: time(16)?,
        ended_at: time(17)?,
        reason: row.get(13)?,
        current_step: current_step.map(|word| parse_word(&word)).transpose()?,
    })
}

fn lane_of(row: &Row<'_>, project: usize, stage: usize) -> Result<Lane, StoreError> {
    let (project, stage): (String, String) = (row.get(project)?, row.get(stage)?);
    Ok(Lane {
        project: project.parse()?,
        stage: stage.parse()?,
    })
}

fn status_of(row: &Row<'_>, column: usize) -> Result<DeployStatus, StoreError> {
    let word: String = row.get(column)?;
    DeployStatus::parse(&word)
        .ok_or_else(|| StoreError::Damaged(format!("deploy status `{word}` is not known")))
}

fn json<T: serde::de::DeserializeOwned>(text: Option<String>) -> Result<Option<T>, StoreError> {
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

/// The one word that an enum has on the wire.
fn word(value: &impl serde::Serialize) -> Result<String, StoreError> {
    Ok(serde_json::to_value(value)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

fn parse_word<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, StoreError> {
    Ok(serde_json::from_value(serde_json::Value::from(word))?)
}
