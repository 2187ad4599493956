//! What pipelines did with each event: for whoever asks why a message came, or
//! did not.

mod run;

use rusqlite::{OptionalExtension, params};

pub use run::NewTraces;
use run::Run;

use super::{Reader, StoreError, Tx};
use crate::model::{Delivery, EventId, PipelineTrace, Timestamp};

const KEPT_MS: i64 = 86_400_000;
const BYTES_MAX: i64 = 64 << 20;
/// Deleted at once.
const CHUNK_ROWS: usize = 1_000;
const CHUNK_BYTES: i64 = 8 << 20;

/// A row that has to go.
#[derive(Clone)]
pub(super) struct DoomedTraces {
    pipeline: String,
    last: i64,
}

impl Tx<'_> {
    /// A pipeline that decides again says what holds now.
    pub fn add_traces(&self, pipeline: &str, traces: &NewTraces) -> Result<(), StoreError> {
        let NewTraces {
            last,
            decided_at,
            json,
        } = traces;
        self.sql()
            .prepare_cached(
                "INSERT INTO traces (pipeline, last, time, json) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (pipeline, last) DO UPDATE SET time = excluded.time, json = excluded.json",
            )?
            .execute(params![pipeline, last.0, decided_at.unix_ms(), json])?;
        Ok(())
    }

    pub(super) fn delete_traces(&self, doomed: &[DoomedTraces]) -> Result<(), StoreError> {
        let mut delete = self
            .sql()
            .prepare_cached("DELETE FROM traces WHERE pipeline = ?1 AND last = ?2")?;
        for DoomedTraces { pipeline, last } in doomed {
            delete.execute(params![pipeline, last])?;
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// In the order in which they decided.
    pub fn traces(&self, event: EventId) -> Result<Vec<PipelineTrace>, StoreError> {
        let mut traces = Vec::new();
        for pipeline in self.names_in("traces", "pipeline")? {
            // Its rows follow each other in the journal: no other holds the event.
            let json: Option<String> = self
                .sql()
                .prepare_cached(
                    "SELECT json FROM traces WHERE pipeline = ?1 AND last >= ?2
                     ORDER BY last LIMIT 1",
                )?
                .query_row(params![pipeline, event.0], |row| row.get(0))
                .optional()?;
            if let Some(json) = json {
                let run: Run = serde_json::from_str(&json)?;
                traces.extend(run.trace(pipeline, event));
            }
        }
        traces.sort_by_key(|trace| trace.decided_at);
        Ok(traces)
    }

    /// A chunk of those that are a day old, or too much: of a clock that was ahead first,
    /// then the oldest.
    pub(super) fn doomed_traces(&self) -> Result<Vec<DoomedTraces>, StoreError> {
        let bytes: i64 = self.sql().query_row(
            // The index alone answers, whatever is in the rows.
            "SELECT coalesce(sum(octet_length(json)), 0) FROM traces INDEXED BY traces_by_time",
            [],
            |row| row.get(0),
        )?;
        let mut too_much = bytes - BYTES_MAX;
        let now = Timestamp::now().unix_ms();
        let mut statement = self.sql().prepare_cached(
            "SELECT * FROM (
                SELECT pipeline, last, time, octet_length(json) FROM traces
                WHERE time > ?1 ORDER BY time DESC LIMIT ?2)
             UNION ALL
             SELECT * FROM (
                SELECT pipeline, last, time, octet_length(json) FROM traces
                WHERE time <= ?1 ORDER BY time LIMIT ?2)",
        )?;
        let mut rows = statement.query(params![now, CHUNK_ROWS])?;
        let (mut doomed, mut taken) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let (time, bytes): (i64, i64) = (row.get(2)?, row.get(3)?);
            if taken > CHUNK_BYTES || doomed.len() == CHUNK_ROWS {
                break;
            }
            if too_much > 0 || time < now - KEPT_MS {
                doomed.push(DoomedTraces {
                    pipeline: row.get(0)?,
                    last: row.get(1)?,
                });
                too_much -= bytes;
                taken += bytes;
            } else if time <= now {
                break;
            }
        }
        Ok(doomed)
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
    use rusqlite::{Connection, params};
    use tokio_util::sync::CancellationToken;

    use super::{EventId, KEPT_MS, NewTraces, Timestamp};
    use crate::{
        events::Log,
        model::{StepDecision, StepTrace, TraceOutcome},
        store::{Store, StoreError, retention::trim_traces},
    };

    fn run(events: &[i64]) -> NewTraces {
        let traces = events.iter().map(|event| {
            let step = StepTrace {
                plugin: "rules".into(),
                version: Some("1.0.0".into()),
                digest: None,
                decision: StepDecision::Drop,
                detail: Some(format!("reason {event}")),
                duration_us: 1,
            };
            (EventId(*event), TraceOutcome::Dropped, vec![step])
        });
        NewTraces::new(traces.collect()).expect("events")
    }

    #[tokio::test]
    async fn an_event_is_found_among_those_that_were_decided_with_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (store, _threads) =
            Store::open(&dir.path().join("db"), &Log::new()).expect("a database");
        let written = store.write(|tx| {
            tx.add_traces("all", &run(&[2, 3, 7]))?;
            tx.add_traces("all", &run(&[9]))?;
            tx.add_traces("other", &run(&[3]))
        });
        written.await.expect("written");
        let found = async |event| {
            let traces = store.read(move |reader| reader.traces(EventId(event)));
            let traces = traces.await.expect("read").into_iter();
            let told = traces.map(|trace| {
                let [step] = trace.steps.as_slice() else {
                    panic!("one step")
                };
                assert_eq!(step.version.as_deref(), Some("1.0.0"));
                (trace.pipeline, step.detail.clone().expect("a reason"))
            });
            told.collect::<Vec<_>>()
        };
        let told = |pipeline: &str, event| (pipeline.to_owned(), format!("reason {event}"));
        assert_eq!(found(2).await, [told("all", 2)]);
        let mut both = found(3).await;
        both.sort();
        assert_eq!(both, [told("all", 3), told("other", 3)]);
        assert_eq!(found(9).await, [told("all", 9)]);
        for nowhere in [1, 4, 8, 10] {
            assert_eq!(found(nowhere).await, []);
        }
    }

    #[tokio::test]
    async fn what_an_older_schema_kept_is_found() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("db");
        let older = include_str!("../../../tests/it/schemas/0004.sql");
        let database = Connection::open(&path).expect("a database");
        database.execute_batch(older).expect("a dump");
        drop(database);
        let (store, _threads) = Store::open(&path, &Log::new()).expect("a database");
        let traces = store.read(|reader| reader.traces(EventId(81)));
        let traces = traces.await.expect("read");
        let [trace] = traces.as_slice() else {
            panic!("one trace: {traces:?}")
        };
        assert_eq!(trace.outcome, TraceOutcome::Passed);
        let steps = trace.steps.iter();
        let said: Vec<_> = steps.map(|it| (it.plugin.as_str(), it.decision)).collect();
        assert_eq!(
            said,
            [
                ("rules", StepDecision::Keep),
                ("team", StepDecision::Nothing)
            ]
        );
        assert_eq!(trace.steps[0].version.as_deref(), Some("0.1.0"));
    }

    #[tokio::test]
    async fn too_many_traces_go_and_those_of_a_clock_that_was_ahead_first() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (store, _threads) =
            Store::open(&dir.path().join("db"), &Log::new()).expect("a database");
        let future = Timestamp::now().unix_ms() + KEPT_MS;
        let written = store.write(move |tx| {
            let mut add = tx.sql().prepare(
                "INSERT INTO traces (pipeline, last, time, json) VALUES ('all', ?1, ?2, ?3)",
            )?;
            // 72 MiB, of which the half is of the future.
            for id in 0..72 {
                let time = if id < 36 {
                    future
                } else {
                    Timestamp::now().unix_ms()
                };
                add.execute(params![id, time, "x".repeat(1 << 20)])?;
            }
            Ok(())
        });
        written.await.expect("written");
        let trimmed = trim_traces(&store, &CancellationToken::new()).await;
        trimmed.expect("trimmed");
        let counted = store.read(move |reader| {
            let count = "SELECT count(*) FILTER (WHERE time = ?1), count(*) FROM traces";
            Ok(reader
                .sql()
                .query_row(count, [future], |row| Ok((row.get(0)?, row.get(1)?)))?)
        });
        let counted: (i64, i64) = counted.await.expect("counted");
        assert_eq!(counted, (28, 64));
    }

    #[tokio::test]
    async fn a_trace_is_kept_for_a_day() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (store, _threads) =
            Store::open(&dir.path().join("db"), &Log::new()).expect("a database");
        let written = store.write(|tx| {
            tx.add_traces("all", &run(&[1]))?;
            tx.add_traces("all", &run(&[2]))?;
            let old = Timestamp::now().unix_ms() - KEPT_MS - 1;
            tx.sql()
                .execute("UPDATE traces SET time = ?1 WHERE last = 1", params![old])?;
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
