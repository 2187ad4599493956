//! What pipelines keep in mind from one event to the next.

use std::time::Duration;

use rusqlite::params;

use super::{Reader, StoreError, Tx};
use crate::model::{EventId, Timestamp};

/// Keys that are remembered of a pipeline.
pub const ONCE_KEYS_MAX: usize = 10_000;

/// An event on its way from a pipeline's steps to its sinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedEvent {
    pub id: EventId,
    pub subject: String,
    /// As the sinks get it.
    pub json: String,
    pub passed_at: Timestamp,
}

impl Tx<'_> {
    pub fn add_to_batch(&self, pipeline: &str, events: &[PassedEvent]) -> Result<(), StoreError> {
        let mut insert = self.sql().prepare_cached(
            "INSERT INTO batch_members (pipeline, event, subject, json, passed_at)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (pipeline, event) DO NOTHING",
        )?;
        for event in events {
            insert.execute(params![
                pipeline,
                event.id.0,
                event.subject,
                event.json,
                event.passed_at.unix_ms()
            ])?;
        }
        Ok(())
    }

    /// Members up to this one have been sealed into deliveries.
    pub fn close_batch(&self, pipeline: &str, last: EventId) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached("DELETE FROM batch_members WHERE pipeline = ?1 AND event <= ?2")?
            .execute(params![pipeline, last.0])?;
        Ok(())
    }

    /// Keys with the times of the events that passed; what is older than a
    /// cooldown is forgotten, and the oldest of too many.
    pub fn remember_passed(
        &self,
        pipeline: &str,
        passed: &[(String, Timestamp)],
        cooldown: Duration,
    ) -> Result<(), StoreError> {
        let Some(newest) = passed.iter().map(|(_, time)| time.unix_ms()).max() else {
            return Ok(());
        };
        let mut insert = self.sql().prepare_cached(
            "INSERT INTO once_keys (pipeline, key, time) VALUES (?1, ?2, ?3)
             ON CONFLICT (pipeline, key) DO UPDATE SET time = excluded.time",
        )?;
        for (key, time) in passed {
            insert.execute(params![pipeline, key, time.unix_ms()])?;
        }
        let cooldown = i64::try_from(cooldown.as_millis()).unwrap_or(i64::MAX);
        self.sql()
            .prepare_cached("DELETE FROM once_keys WHERE pipeline = ?1 AND time < ?2")?
            .execute(params![pipeline, newest.saturating_sub(cooldown)])?;
        self.sql()
            .prepare_cached(
                "DELETE FROM once_keys WHERE pipeline = ?1 AND time <= (
                    SELECT time FROM once_keys WHERE pipeline = ?1
                    ORDER BY time DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![pipeline, ONCE_KEYS_MAX])?;
        Ok(())
    }
}

impl Reader<'_> {
    /// In the order in which they passed.
    pub fn batch_members(&self, pipeline: &str) -> Result<Vec<PassedEvent>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT event, subject, json, passed_at FROM batch_members
             WHERE pipeline = ?1 ORDER BY event",
        )?;
        let rows = statement.query_map([pipeline], |row| {
            Ok(PassedEvent {
                id: EventId(row.get(0)?),
                subject: row.get(1)?,
                json: row.get(2)?,
                passed_at: Timestamp::from_unix_ms(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn batched(&self, pipeline: &str) -> Result<u64, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT count(*) FROM batch_members WHERE pipeline = ?1")?;
        Ok(statement.query_row([pipeline], |row| row.get(0))?)
    }

    /// When events last passed, by key.
    pub fn once_keys(&self, pipeline: &str) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT key, time FROM once_keys WHERE pipeline = ?1")?;
        let rows = statement.query_map([pipeline], |row| {
            Ok((row.get(0)?, Timestamp::from_unix_ms(row.get(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
