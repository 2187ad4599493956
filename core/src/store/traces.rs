//! What pipelines did with each event: for whoever asks why a message came, or
//! did not.

use rusqlite::params;

use super::{Reader, StoreError, Tx};
use crate::model::{Delivery, EventId, PipelineTrace, StepTrace, Timestamp, TraceOutcome};

const KEPT_MS: i64 = 86_400_000;
const BYTES_MAX: i64 = 64 << 20;
/// Rows deleted at once.
const CHUNK_ROWS: i64 = 5_000;

impl Tx<'_> {
    /// A pipeline that decides again says what holds now.
    pub fn add_traces(
        &self,
        pipeline: &str,
        traces: &[(EventId, TraceOutcome, Vec<StepTrace>)],
    ) -> Result<(), StoreError> {
        let decided_at = Timestamp::now();
        let mut insert = self.sql().prepare_cached(
            "INSERT INTO traces (event, pipeline, time, json) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (event, pipeline) DO UPDATE SET time = excluded.time, json = excluded.json",
        )?;
        for (event, outcome, steps) in traces {
            let trace = PipelineTrace {
                pipeline: pipeline.to_owned(),
                decided_at,
                outcome: *outcome,
                steps: steps.clone(),
            };
            insert.execute(params![
                event.0,
                pipeline,
                decided_at.unix_ms(),
                serde_json::to_string(&trace)?
            ])?;
        }
        Ok(())
    }

    /// Deletes some of what is a day old, or too much. Whether there may be more.
    pub(super) fn trim_traces(&self) -> Result<bool, StoreError> {
        let bytes: i64 = self.sql().query_row(
            "SELECT coalesce(sum(octet_length(json)), 0) FROM traces",
            [],
            |row| row.get(0),
        )?;
        let oldest = if bytes > BYTES_MAX {
            i64::MAX
        } else {
            Timestamp::now().unix_ms() - KEPT_MS
        };
        let deleted = self.sql().execute(
            "DELETE FROM traces WHERE (event, pipeline) IN (
                SELECT event, pipeline FROM traces WHERE time < ?1 ORDER BY time LIMIT ?2)",
            params![oldest, CHUNK_ROWS],
        )?;
        Ok(deleted as i64 == CHUNK_ROWS)
    }
}

impl Reader<'_> {
    /// In the order in which they decided.
    pub fn traces(&self, event: EventId) -> Result<Vec<PipelineTrace>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT json FROM traces WHERE event = ?1 ORDER BY time, pipeline")?;
        let mut rows = statement.query([event.0])?;
        let mut traces = Vec::new();
        while let Some(row) = rows.next()? {
            traces.push(serde_json::from_str(&row.get::<_, String>(0)?)?);
        }
        Ok(traces)
    }

    /// Those that hold the event, newest first.
    pub fn deliveries_of(&self, event: EventId) -> Result<Vec<Delivery>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT id FROM deliveries WHERE EXISTS (
                SELECT 1 FROM json_each(deliveries.events) WHERE value = ?1)
             ORDER BY rowid DESC",
        )?;
        let ids = statement.query_map([event.0], |row| row.get::<_, String>(0))?;
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.delivery(&id?)?);
        }
        Ok(found)
    }
}
