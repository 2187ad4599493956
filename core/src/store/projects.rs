use rusqlite::{OptionalExtension, Row, params};

use super::{Held, Reader, SealedSpec, StoreError, Tx};
use crate::model::{DeployId, Lane, LaneView, Project, ProjectName, StageName, Timestamp};

/// What is stored of a lane.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneRow {
    pub lane: Lane,
    pub spec: SealedSpec,
    /// Generation and container that serve.
    pub generation: Option<i64>,
    pub instance: Option<String>,
}

impl Tx<'_> {
    /// False when there is one of this name already.
    pub fn insert_project(&self, name: &ProjectName) -> Result<bool, StoreError> {
        let rows = self.sql().execute(
            "INSERT INTO projects (name, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![name.as_str(), Timestamp::now().unix_ms()],
        )?;
        Ok(rows == 1)
    }

    /// Its deploys and events stay.
    pub fn delete_project(&self, name: &ProjectName) -> Result<bool, StoreError> {
        let rows = self
            .sql()
            .execute("DELETE FROM projects WHERE name = ?1", [name.as_str()])?;
        Ok(rows == 1)
    }

    /// Makes the lane, or replaces what its next deploy will run.
    pub fn put_lane(&self, lane: &Lane, spec: &SealedSpec) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO lanes (project, stage, spec) VALUES (?1, ?2, ?3)
             ON CONFLICT (project, stage) DO UPDATE SET spec = excluded.spec",
            params![
                lane.project.as_str(),
                lane.stage.as_str(),
                serde_json::to_string(spec)?
            ],
        )?;
        Ok(())
    }

    /// Counts up the lane's generations.
    pub fn next_generation(&self, lane: &Lane) -> Result<i64, StoreError> {
        Ok(self.sql().query_row(
            "UPDATE lanes SET last_generation = last_generation + 1
             WHERE project = ?1 AND stage = ?2 RETURNING last_generation",
            [lane.project.as_str(), lane.stage.as_str()],
            |row| row.get(0),
        )?)
    }

    /// Nobody serves the lane any more.
    pub fn clear_serving(&self, lane: &Lane) -> Result<(), StoreError> {
        self.sql().execute(
            "UPDATE lanes SET generation = NULL, instance = NULL WHERE project = ?1 AND stage = ?2",
            [lane.project.as_str(), lane.stage.as_str()],
        )?;
        Ok(())
    }

    /// From now on this container serves the lane; its image is what it runs.
    pub fn set_serving(
        &self,
        lane: &Lane,
        generation: i64,
        instance: &str,
    ) -> Result<(), StoreError> {
        self.sql().execute(
            "UPDATE lanes SET generation = ?3, instance = ?4 WHERE project = ?1 AND stage = ?2",
            params![
                lane.project.as_str(),
                lane.stage.as_str(),
                generation,
                instance
            ],
        )?;
        Ok(())
    }
}

impl Reader<'_> {
    pub fn lane(&self, lane: &Lane) -> Result<Option<LaneRow>, StoreError> {
        let lanes = self.lanes(&lane.project)?;
        Ok(lanes.into_iter().find(|row| row.lane == *lane))
    }

    /// The stages of a project, by name.
    pub fn lanes(&self, project: &ProjectName) -> Result<Vec<LaneRow>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT project, stage, spec, generation, instance FROM lanes
             WHERE project = ?1 ORDER BY stage",
        )?;
        let mut rows = statement.query([project.as_str()])?;
        let mut lanes = Vec::new();
        while let Some(row) = rows.next()? {
            lanes.push(lane_row(row)?);
        }
        Ok(lanes)
    }

    /// All projects, by name.
    pub fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT name FROM projects ORDER BY name")?;
        let names: Vec<String> = statement
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut projects = Vec::new();
        for name in names {
            projects.extend(self.project(&name.parse()?)?);
        }
        Ok(projects)
    }

    pub fn project(&self, name: &ProjectName) -> Result<Option<Project>, StoreError> {
        let created_at: Option<i64> = self
            .sql()
            .prepare_cached("SELECT created_at FROM projects WHERE name = ?1")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?;
        let Some(created_at) = created_at else {
            return Ok(None);
        };
        let lanes = self.lanes(name)?;
        let stages = lanes.into_iter().map(|lane| self.lane_view(lane));
        Ok(Some(Project {
            name: name.clone(),
            created_at: Timestamp::from_unix_ms(created_at),
            stages: stages.collect::<Result<_, _>>()?,
        }))
    }

    fn lane_view(&self, row: LaneRow) -> Result<LaneView, StoreError> {
        let LaneRow {
            lane,
            spec,
            generation,
            instance,
        } = row;
        let held = match &instance {
            Some(instance) => self.held_as(&lane, instance)?,
            None => None,
        };
        let (active, queued): (Option<i64>, u32) = self
            .sql()
            .prepare_cached(
                "SELECT max(CASE WHEN status <> 'queued' THEN id END), sum(status = 'queued')
                 FROM deploys WHERE project = ?1 AND stage = ?2 AND ended_at IS NULL",
            )?
            .query_row([lane.project.as_str(), lane.stage.as_str()], |row| {
                Ok((row.get(0)?, row.get::<_, Option<u32>>(1)?.unwrap_or(0)))
            })?;
        Ok(LaneView {
            spec: spec.masked(),
            generation,
            held: held.map(Held::into_ports),
            active_deploy: active.map(DeployId),
            latest_deploy: self.latest_deploy(&lane)?,
            queued,
            instances: self.instances_of(&lane)?,
            stage: lane.stage,
        })
    }
}

fn lane_row(row: &Row<'_>) -> Result<LaneRow, StoreError> {
    let (project, stage, spec): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let stage: StageName = stage.parse()?;
    Ok(LaneRow {
        lane: Lane {
            project: project.parse()?,
            stage,
        },
        spec: serde_json::from_str(&spec)?,
        generation: row.get(3)?,
        instance: row.get(4)?,
    })
}
