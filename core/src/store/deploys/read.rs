use rusqlite::{OptionalExtension, Row, ToSql, types::Value};

use super::{DeployQuery, Deployed, OpenDeploy, Rollback};
use crate::{
    model::{Deploy, DeployId, DeployStatus, DeploySummary, EventId, Lane, Step, Timestamp},
    store::{Reader, SealedSpec, StoreError},
};

const COLUMNS: &str =
    "id, project, stage, generation, status, actor, spec, image, digest, image_id,
    strategy, plan, failure, reason, instance, created_at, started_at, ended_at, first_event,
    last_event, (SELECT name FROM deploy_steps WHERE deploy = deploys.id AND status = 'running'),
    rolls_back_to";

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

    /// What has not ended of a lane, oldest first.
    pub fn open_deploys_of(&self, lane: &Lane) -> Result<Vec<OpenDeploy>, StoreError> {
        let mut open = self.open_deploys()?;
        open.retain(|deploy| deploy.lane == *lane);
        Ok(open)
    }

    /// Everything that has not ended, oldest first.
    pub fn open_deploys(&self) -> Result<Vec<OpenDeploy>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT id, project, stage, generation, status, spec, actor, instance, plan,
                 rolls_back_to, image_id, digest, cancel_reason IS NOT NULL, lane_was
             FROM deploys WHERE ended_at IS NULL ORDER BY id",
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
                plan: json(row.get(8)?)?,
                rollback: rollback(row)?,
                digest: row.get(11)?,
                lane_was: row.get(13)?,
                cancelled: row.get(12)?,
            });
        }
        Ok(found)
    }

    /// What a deploy ran, if it has succeeded in the project as it is now.
    pub fn deployed(&self, id: DeployId) -> Result<Option<Deployed>, StoreError> {
        self.deployed_where(
            "id = ?1 AND status = 'succeeded'
                AND created_at >= (SELECT created_at FROM projects WHERE name = deploys.project)",
            &id.0,
        )
    }

    /// What the deploy ran that made this container, however it ends.
    pub fn deployed_as(&self, instance: &str) -> Result<Option<Deployed>, StoreError> {
        self.deployed_where("instance = ?1", &instance)
    }

    fn deployed_where(
        &self,
        which: &str,
        value: &dyn ToSql,
    ) -> Result<Option<Deployed>, StoreError> {
        let sql =
            format!("SELECT project, stage, spec, image_id, digest FROM deploys WHERE {which}");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let mut rows = statement.query([value])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        Ok(Some(Deployed {
            lane: lane_of(row, 0, 1)?,
            spec: serde_json::from_str(&row.get::<_, String>(2)?)?,
            image_id: row.get(3)?,
            digest: row.get(4)?,
        }))
    }

    /// The newest deploy of a lane that succeeded, of a generation below.
    pub fn succeeded_before(
        &self,
        lane: &Lane,
        generation: i64,
    ) -> Result<Option<DeployId>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT id FROM deploys WHERE project = ?1 AND stage = ?2 AND status = 'succeeded'
                 AND created_at >= (SELECT created_at FROM projects WHERE name = ?1)
                 AND generation < ?3
             ORDER BY id DESC LIMIT 1",
        )?;
        let lane = (lane.project.as_str(), lane.stage.as_str(), generation);
        let found = statement.query_row(lane, |row| row.get(0)).optional()?;
        Ok(found.map(DeployId))
    }

    /// Whether the last deploy of a lane before this one that came to an end by itself had
    /// not succeeded.
    pub fn failed_before(&self, lane: &Lane, id: DeployId) -> Result<bool, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT status <> 'succeeded' FROM deploys WHERE project = ?1 AND stage = ?2
                 AND status IN ('succeeded', 'failed', 'rolled_back')
                 AND created_at >= (SELECT created_at FROM projects WHERE name = ?1)
                 AND id < ?3
             ORDER BY id DESC LIMIT 1",
        )?;
        let lane = (lane.project.as_str(), lane.stage.as_str(), id.0);
        let failed = statement.query_row(lane, |row| row.get(0)).optional()?;
        Ok(failed.unwrap_or(false))
    }

    /// When its instance said the last that its log has.
    pub fn newest_output(&self, id: DeployId) -> Result<Option<Timestamp>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT max(time) FROM deploy_logs
             WHERE deploy = ?1 AND frame NOT LIKE '%\"stream\":\"system\"%'",
        )?;
        let newest: Option<i64> = statement.query_row([id.0], |row| row.get(0))?;
        Ok(newest.map(Timestamp::from_unix_ms))
    }

    pub fn cancel_reason(&self, id: DeployId) -> Result<Option<String>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT cancel_reason FROM deploys WHERE id = ?1")?;
        Ok(statement.query_row([id.0], |row| row.get(0))?)
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
        rolls_back_to: row.get::<_, Option<i64>>(21)?.map(DeployId),
        created_at: Timestamp::from_unix_ms(row.get(15)?),
        started_at: time(16)?,
        ended_at: time(17)?,
        reason: row.get(13)?,
        current_step: current_step.map(|word| parse_word(&word)).transpose()?,
    })
}

/// Of the columns that follow the plan.
fn rollback(row: &Row<'_>) -> Result<Option<Rollback>, StoreError> {
    let Some(to) = row.get::<_, Option<i64>>(9)? else {
        return Ok(None);
    };
    Ok(Some(Rollback {
        to: DeployId(to),
        image_id: row.get(10)?,
        digest: row.get(11)?,
    }))
}

pub(super) fn lane_of(row: &Row<'_>, project: usize, stage: usize) -> Result<Lane, StoreError> {
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

fn parse_word<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, StoreError> {
    Ok(serde_json::from_value(serde_json::Value::from(word))?)
}
