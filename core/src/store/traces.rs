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

    /// Deletes the oldest of those that were made before `end`, a chunk of them.
    pub(super) fn delete_traces(&self, end: Timestamp) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(
                "DELETE FROM traces WHERE (event, pipeline) IN (
                    SELECT event, pipeline FROM traces WHERE time < ?1 ORDER BY time LIMIT ?2)",
            )?
            .execute(params![end.unix_ms(), CHUNK_ROWS])?;
        Ok(())
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

    /// Those made before this have to go: they are a day old, or too much.
    pub(super) fn doomed_traces(&self) -> Result<Option<Timestamp>, StoreError> {
        let (bytes, oldest): (i64, Option<i64>) = self.sql().query_row(
            "SELECT coalesce(sum(octet_length(json)), 0), min(time) FROM traces",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let now = Timestamp::now();
        let day_ago = now.unix_ms() - KEPT_MS;
        Ok(if bytes > BYTES_MAX {
            Some(now)
        } else {
            let is_old = oldest.is_some_and(|oldest| oldest < day_ago);
            is_old.then(|| Timestamp::from_unix_ms(day_ago))
        })
    }

    /// Those that hold the event, newest first.
    pub fn deliveries_of(&self, event: EventId) -> Result<Vec<Delivery>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            // The digits are looked for first: most lists need not be parsed.
            "SELECT id FROM deliveries WHERE instr(events, ?2) > 0 AND EXISTS (
                SELECT 1 FROM json_each(deliveries.events) WHERE value = ?1)
             ORDER BY rowid DESC",
        )?;
        let bound = params![event.0, event.to_string()];
        let ids = statement.query_map(bound, |row| row.get::<_, String>(0))?;
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.delivery(&id?)?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::params;
    use tokio_util::sync::CancellationToken;

    use super::{EventId, KEPT_MS, Timestamp, TraceOutcome};
    use crate::{
        events::Log,
        store::{Store, StoreError, retention::trim_traces},
    };

    #[tokio::test]
    async fn a_trace_is_kept_for_a_day() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (store, _threads) =
            Store::open(&dir.path().join("db"), &Log::new()).expect("a database");
        let written = store.write(|tx| {
            tx.add_traces("all", &[(EventId(2), TraceOutcome::Passed, Vec::new())])?;
            let old = Timestamp::now().unix_ms() - KEPT_MS - 1;
            tx.sql().execute(
                "INSERT INTO traces SELECT 1, pipeline, ?1, json FROM traces",
                params![old],
            )?;
            Ok(())
        });
        written.await.expect("written");
        let counted = async || {
            let read = store.read(|reader| {
                let count = |id| Ok::<_, StoreError>(reader.traces(EventId(id))?.len());
                Ok((count(1)?, count(2)?))
            });
            read.await.expect("read")
        };
        assert_eq!(counted().await, (1, 1));
        let trimmed = trim_traces(&store, &CancellationToken::new()).await;
        trimmed.expect("trimmed");
        assert_eq!(counted().await, (0, 1));
    }
}
