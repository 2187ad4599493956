use rusqlite::{OptionalExtension, params};

use super::{Reader, StoreError, Tx};
use crate::model::{Instance, Lane};

impl Tx<'_> {
    /// Replaces what is known of an instance.
    pub fn put_instance(&self, instance: &Instance) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO instances (id, name, project, stage, managed, updated_at, json)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, project = excluded.project,
                    stage = excluded.stage, managed = excluded.managed,
                    updated_at = excluded.updated_at, json = excluded.json",
            )?
            .execute(params![
                instance.id,
                instance.name,
                instance.project.as_ref().map(|name| name.as_str()),
                instance.stage.as_ref().map(|name| name.as_str()),
                instance.managed,
                instance.updated_at.unix_ms(),
                serde_json::to_string(instance)?,
            ])?;
        Ok(())
    }

    /// Forgets an instance that is gone; its events stay.
    pub fn delete_instance(&self, id: &str) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached("DELETE FROM instances WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    }
}

impl Reader<'_> {
    /// All instances, by name.
    pub fn instances(&self) -> Result<Vec<Instance>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT json FROM instances ORDER BY name, id")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|json| Ok(serde_json::from_str(&json?)?)).collect()
    }

    /// The instances of one lane, newest generation first.
    pub fn instances_of(&self, lane: &Lane) -> Result<Vec<Instance>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT json FROM instances WHERE project = ?1 AND stage = ?2")?;
        let rows = statement.query_map([lane.project.as_str(), lane.stage.as_str()], |row| {
            row.get::<_, String>(0)
        })?;
        let found: Result<Vec<Instance>, StoreError> =
            rows.map(|json| Ok(serde_json::from_str(&json?)?)).collect();
        let mut found = found?;
        found.sort_by_key(|instance| std::cmp::Reverse(instance.generation));
        Ok(found)
    }

    /// By container id.
    pub fn instance(&self, id: &str) -> Result<Option<Instance>, StoreError> {
        let json: Option<String> = self
            .sql()
            .prepare_cached("SELECT json FROM instances WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }
}
