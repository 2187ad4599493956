use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use super::{Reader, StoreError, Tx};
use crate::model::{EventId, EventType, RecentDrop, Timestamp};

/// Drops that are kept per pipeline.
const DROPS_KEPT: i64 = 200;

/// How far a pipeline has come, and what it did on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PipelineProgress {
    pub cursor: EventId,
    pub seen: i64,
    pub dropped: i64,
    /// Events that retention took before they were seen.
    pub skipped: i64,
}

/// A decision that an event does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDrop {
    pub plugin: String,
    pub event: EventId,
    pub reason: String,
}

impl Tx<'_> {
    /// Where the pipeline goes on; a new one starts with the next event. Its sinks are kept
    /// for when no file names it any more.
    pub fn open_pipeline(&self, name: &str, sinks: &[String]) -> Result<EventId, StoreError> {
        let head = EventId(self.next_event().0 - 1);
        self.sql().execute(
            "INSERT INTO pipelines (name, cursor, sinks) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET sinks = excluded.sinks",
            params![name, head.0, serde_json::to_string(sinks)?],
        )?;
        let progress = self.pipeline_progress(name)?;
        Ok(progress.map_or(head, |progress| progress.cursor))
    }

    /// Moves the cursor to `to.cursor` and adds the counts of `to`.
    pub fn advance_pipeline(&self, name: &str, to: &PipelineProgress) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(
                "UPDATE pipelines SET cursor = ?2, seen = seen + ?3, dropped = dropped + ?4,
                    skipped = skipped + ?5 WHERE name = ?1",
            )?
            .execute(params![name, to.cursor.0, to.seen, to.dropped, to.skipped])?;
        Ok(())
    }

    pub fn add_drops(&self, pipeline: &str, drops: &[NewDrop]) -> Result<(), StoreError> {
        if drops.is_empty() {
            return Ok(());
        }
        let now = Timestamp::now().unix_ms();
        let mut insert = self.sql().prepare_cached(
            "INSERT INTO drops (pipeline, plugin, event, reason, time) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for NewDrop {
            plugin,
            event,
            reason,
        } in drops
        {
            insert.execute(params![pipeline, plugin, event.0, reason, now])?;
        }
        self.sql()
            .prepare_cached(
                "DELETE FROM drops WHERE pipeline = ?1 AND id <= (
                    SELECT id FROM drops WHERE pipeline = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![pipeline, DROPS_KEPT])?;
        Ok(())
    }

    /// What an enricher found out; a second run over the same event replaces it. It counts as
    /// a part of the event, and goes with it: one that has gone by now has none.
    pub fn annotate(&self, event: EventId, plugin: &str, json: &str) -> Result<(), StoreError> {
        let Some(kind) = self.type_of(event)? else {
            return Ok(());
        };
        let before: Option<i64> = self
            .sql()
            .prepare_cached(
                "SELECT octet_length(json) FROM annotations WHERE event = ?1 AND plugin = ?2",
            )?
            .query_row(params![event.0, plugin], |row| row.get(0))
            .optional()?;
        self.count_grown(kind, json.len() as i64 - before.unwrap_or(0))?;
        self.sql()
            .prepare_cached(
                "INSERT INTO annotations (event, plugin, json) VALUES (?1, ?2, ?3)
                 ON CONFLICT (event, plugin) DO UPDATE SET json = excluded.json",
            )?
            .execute(params![event.0, plugin, json])?;
        Ok(())
    }

    fn type_of(&self, event: EventId) -> Result<Option<EventType>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT type FROM events WHERE id = ?1
             UNION ALL SELECT 'deploy_log' FROM deploy_logs WHERE id = ?1",
        )?;
        let kind = statement.query_row([event.0], |row| row.get::<_, String>(0));
        Ok(kind.optional()?.and_then(|kind| EventType::parse(&kind)))
    }

    /// Forgets a pipeline that is no longer configured, with what is in its batch; its
    /// deliveries stay.
    pub fn remove_pipeline(&self, name: &str) -> Result<(), StoreError> {
        self.sql()
            .execute("DELETE FROM pipelines WHERE name = ?1", [name])?;
        for table in ["drops", "batch_members", "once_keys"] {
            let sql = format!("DELETE FROM {table} WHERE pipeline = ?1");
            self.sql().execute(&sql, [name])?;
        }
        Ok(())
    }
}

impl Reader<'_> {
    pub fn pipeline_progress(&self, name: &str) -> Result<Option<PipelineProgress>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT cursor, seen, dropped, skipped FROM pipelines WHERE name = ?1",
        )?;
        let row = statement.query_row([name], |row| {
            Ok(PipelineProgress {
                cursor: EventId(row.get(0)?),
                seen: row.get(1)?,
                dropped: row.get(2)?,
                skipped: row.get(3)?,
            })
        });
        Ok(row.optional()?)
    }

    /// Where it sends to, as it was last opened; nowhere, where that was before they were
    /// kept.
    pub fn pipeline_sinks(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT sinks FROM pipelines WHERE name = ?1")?;
        let kept: Option<Option<String>> =
            statement.query_row([name], |row| row.get(0)).optional()?;
        let sinks = kept.flatten().map(|json| serde_json::from_str(&json));
        let sinks: Option<Vec<String>> = sinks.transpose()?;
        Ok(sinks.unwrap_or_default())
    }

    /// Names of all pipelines that have a cursor.
    pub fn pipeline_names(&self) -> Result<BTreeSet<String>, StoreError> {
        let mut statement = self.sql().prepare_cached("SELECT name FROM pipelines")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Newest first.
    pub fn recent_drops(
        &self,
        pipeline: &str,
        limit: usize,
    ) -> Result<Vec<RecentDrop>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT event, plugin, reason, time FROM drops WHERE pipeline = ?1
             ORDER BY id DESC LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![pipeline, limit], |row| {
            Ok(RecentDrop {
                event: EventId(row.get(0)?),
                plugin: row.get(1)?,
                reason: row.get(2)?,
                time: Timestamp::from_unix_ms(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many causes lie behind an event, counted no further than `limit`.
    pub fn chain_depth(&self, event: EventId, limit: u32) -> Result<u32, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT json_extract(frame, '$.cause') FROM events WHERE id = ?1")?;
        let (mut at, mut depth) = (event.0, 0);
        while depth < limit {
            let cause: Option<Option<i64>> =
                statement.query_row([at], |row| row.get(0)).optional()?;
            let Some(Some(cause)) = cause else { break };
            at = cause;
            depth += 1;
        }
        Ok(depth)
    }
}
