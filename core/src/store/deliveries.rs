use rusqlite::{OptionalExtension, Row, ToSql, params, types::Value};

use super::{Reader, StoreError, Tx};
use crate::model::{
    Attempt, AttemptOutcome, Delivery, DeliveryDetail, DeliveryState, EventId, SinkQueue, Timestamp,
};

/// What may wait for one sink; beyond it the oldest become dead letters.
const QUEUE_DELIVERIES_MAX: i64 = 10_000;
const QUEUE_BYTES_MAX: i64 = 64 << 20;

/// Deliveries that have ended are kept so long, at most so many per sink; dead letters
/// beside the others, since somebody may still want to send them.
const ENDED_KEPT_MS: i64 = 30 * 86_400_000;
const ENDED_KEPT_MAX: i64 = 5_000;
/// A whole queue, where its sink is gone.
const DEAD_KEPT_MAX: i64 = QUEUE_DELIVERIES_MAX;
/// Of a queue that is ended, at once.
const ENDED_TOGETHER: i64 = 500;

const COLUMNS: &str = "rowid, id, pipeline, sink, status, attempts, created_at, ended_at,
    next_attempt, latency_ms, last_error, events";

/// A sealed list of events, on its way to a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    pub id: String,
    pub pipeline: String,
    pub sink: String,
    pub subject: String,
    pub events: Vec<EventId>,
    /// JSON of the events as the sink gets them.
    pub input: String,
}

/// The delivery that a sink has to make next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedDelivery {
    pub delivery: Delivery,
    /// Since it was made, or put back by hand.
    pub first_attempt: Option<Timestamp>,
    /// Attempts since then.
    pub tries: u32,
    /// The last of them on which the plugin itself failed, one after the other.
    pub faults: u32,
    pub input: String,
}

/// What an attempt came to, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    pub at: Timestamp,
    pub latency_ms: i64,
    pub outcome: AttemptOutcome,
    pub reason: Option<String>,
    pub next: AfterAttempt,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterAttempt {
    Delivered,
    RetryAt(Timestamp),
    Dead,
    /// Its events go on in these.
    Split(Vec<NewDelivery>),
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    pub sinks: Vec<String>,
    pub pipelines: Vec<String>,
    pub statuses: Vec<DeliveryState>,
    /// Only those made before this one.
    pub before: Option<i64>,
    pub limit: usize,
}

impl Tx<'_> {
    /// Stores a delivery. Its id says which one it is, so that a second run
    /// over the same events stores nothing twice.
    pub fn insert_delivery(&self, delivery: &NewDelivery) -> Result<(), StoreError> {
        self.insert_delivery_at(None, delivery)
    }

    /// At the end of the queue, or right after another one.
    fn insert_delivery_at(
        &self,
        position: Option<i64>,
        delivery: &NewDelivery,
    ) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO deliveries (id, position, pipeline, sink, subject, status, created_at, events, input)
                 VALUES (?1, coalesce(?2, (SELECT coalesce(max(position), 0) + 1 FROM deliveries)),
                    ?3, ?4, ?5, 'pending', ?6, ?7, ?8)
                 ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![
                delivery.id,
                position,
                delivery.pipeline,
                delivery.sink,
                delivery.subject,
                Timestamp::now().unix_ms(),
                serde_json::to_string(&delivery.events)?,
                delivery.input,
            ])?;
        Ok(())
    }

    /// Makes dead letters of the oldest that a sink's queue has no room for.
    pub fn shed_overflow(&self, sink: &str) -> Result<Vec<Delivery>, StoreError> {
        let sql = format!(
            "UPDATE deliveries SET status = 'dead', ended_at = ?2, next_attempt = NULL,
                last_error = 'overflow: the queue of this sink is full'
             WHERE id IN (SELECT id FROM (
                SELECT id, row_number() OVER (ORDER BY position DESC) AS place,
                    sum(octet_length(input)) OVER (ORDER BY position DESC) AS bytes
                FROM deliveries WHERE sink = ?1 AND status IN ('pending', 'retrying'))
                WHERE place > {QUEUE_DELIVERIES_MAX} OR bytes > {QUEUE_BYTES_MAX})
             RETURNING {COLUMNS}"
        );
        self.kill(&sql, sink)
    }

    /// Makes dead letters of the oldest that wait for a sink that is there no longer, some
    /// at a time.
    pub fn end_queue(&self, sink: &str) -> Result<Vec<Delivery>, StoreError> {
        let sql = format!(
            "UPDATE deliveries SET status = 'dead', ended_at = ?2, next_attempt = NULL,
                last_error = 'its sink is no longer configured: replay it once it is'
             WHERE id IN (SELECT id FROM deliveries
                WHERE sink = ?1 AND status IN ('pending', 'retrying')
                ORDER BY position LIMIT {ENDED_TOGETHER})
             RETURNING {COLUMNS}"
        );
        self.kill(&sql, sink)
    }

    fn kill(&self, sql: &str, sink: &str) -> Result<Vec<Delivery>, StoreError> {
        let mut statement = self.sql().prepare_cached(sql)?;
        let mut rows = statement.query(params![sink, Timestamp::now().unix_ms()])?;
        let mut dead = Vec::new();
        while let Some(row) = rows.next()? {
            dead.push(delivery_of(row)?.0);
        }
        Ok(dead)
    }

    /// Writes down an attempt and moves the delivery on. `None` when it is not
    /// there any more.
    pub fn record_attempt(
        &self,
        id: &str,
        record: &AttemptRecord,
    ) -> Result<Option<Delivery>, StoreError> {
        let now = Some(Timestamp::now());
        let (status, next, ended) = match &record.next {
            AfterAttempt::Delivered => (DeliveryState::Delivered, None, now),
            AfterAttempt::RetryAt(at) => (DeliveryState::Retrying, Some(*at), None),
            AfterAttempt::Dead => (DeliveryState::Dead, None, now),
            AfterAttempt::Split(_) => (DeliveryState::Split, None, now),
        };
        let changed = self.sql().execute(
            "UPDATE deliveries SET status = ?2, attempts = attempts + 1,
                first_attempt = coalesce(first_attempt, ?3), next_attempt = ?4, ended_at = ?5,
                latency_ms = ?6, last_error = ?7 WHERE id = ?1",
            params![
                id,
                status.as_str(),
                record.at.unix_ms(),
                next.map(Timestamp::unix_ms),
                ended.map(Timestamp::unix_ms),
                record.latency_ms,
                record.reason,
            ],
        )?;
        if changed == 0 {
            return Ok(None);
        }
        self.sql().execute(
            "INSERT INTO delivery_attempts (delivery, number, at, outcome, reason, latency_ms)
             SELECT id, attempts, ?2, ?3, ?4, ?5 FROM deliveries WHERE id = ?1",
            params![
                id,
                record.at.unix_ms(),
                record.outcome.as_str(),
                record.reason,
                record.latency_ms
            ],
        )?;
        if let AfterAttempt::Split(halves) = &record.next {
            let position = self.position_of(id)?;
            for half in halves {
                self.insert_delivery_at(position, half)?;
            }
        }
        self.delivery(id)
    }

    fn position_of(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT position FROM deliveries WHERE id = ?1")?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?)
    }

    /// Puts a dead letter back to the end of its sink's queue.
    pub fn replay_delivery(&self, id: &str) -> Result<bool, StoreError> {
        let changed = self.sql().execute(
            "UPDATE deliveries SET status = 'pending', next_attempt = NULL, ended_at = NULL,
                first_attempt = NULL,
                position = (SELECT max(position) + 1 FROM deliveries)
             WHERE id = ?1 AND status = 'dead'",
            [id],
        )?;
        Ok(changed > 0)
    }

    /// The same with all dead letters of a sink, the oldest first; how many.
    pub fn replay_deliveries(&self, sink: &str) -> Result<usize, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT id FROM deliveries WHERE sink = ?1 AND status = 'dead' ORDER BY position, rowid",
        )?;
        let ids = statement.query_map([sink], |row| row.get::<_, String>(0))?;
        let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
        for id in &ids {
            self.replay_delivery(id)?;
        }
        Ok(ids.len())
    }

    /// Deletes what ended long ago, or what is too much of it.
    pub fn trim_deliveries(&self) -> Result<usize, StoreError> {
        let oldest = Timestamp::now().unix_ms() - ENDED_KEPT_MS;
        Ok(self.sql().execute(
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM (
                SELECT id, ended_at, status = 'dead' AS is_dead, row_number() OVER (
                    PARTITION BY sink, status = 'dead' ORDER BY position DESC) AS place
                FROM deliveries WHERE status IN ('delivered', 'dead', 'split'))
                WHERE ended_at < ?1 OR place > iif(is_dead, ?3, ?2))",
            params![oldest, ENDED_KEPT_MAX, DEAD_KEPT_MAX],
        )?)
    }
}

impl Reader<'_> {
    /// The oldest delivery that a sink has not ended.
    pub fn next_delivery(&self, sink: &str) -> Result<Option<QueuedDelivery>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, first_attempt, input,
                (SELECT count(*) FROM delivery_attempts AS a
                 WHERE a.delivery = deliveries.id AND a.at >= first_attempt) AS tries,
                (SELECT count(*) FROM delivery_attempts AS a
                 WHERE a.delivery = deliveries.id AND a.at >= first_attempt
                    AND a.number > (SELECT coalesce(max(b.number), 0) FROM delivery_attempts AS b
                        WHERE b.delivery = deliveries.id AND b.outcome <> 'fault')) AS faults
             FROM deliveries
             WHERE sink = ?1 AND status IN ('pending', 'retrying') ORDER BY position, rowid LIMIT 1"
        );
        let mut statement = self.sql().prepare_cached(&sql)?;
        let mut rows = statement.query([sink])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        Ok(Some(QueuedDelivery {
            delivery: delivery_of(row)?.0,
            first_attempt: row
                .get::<_, Option<i64>>("first_attempt")?
                .map(Timestamp::from_unix_ms),
            tries: row.get("tries")?,
            faults: row.get("faults")?,
            input: row.get("input")?,
        }))
    }

    pub fn delivery(&self, id: &str) -> Result<Option<Delivery>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE id = ?1");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let mut rows = statement.query([id])?;
        Ok(rows.next()?.map(delivery_of).transpose()?.map(|(it, _)| it))
    }

    pub fn delivery_detail(&self, id: &str) -> Result<Option<DeliveryDetail>, StoreError> {
        let Some(delivery) = self.delivery(id)? else {
            return Ok(None);
        };
        let mut statement = self.sql().prepare_cached(
            "SELECT at, outcome, reason, latency_ms FROM delivery_attempts
             WHERE delivery = ?1 ORDER BY number",
        )?;
        let mut rows = statement.query([id])?;
        let mut attempt_list = Vec::new();
        while let Some(row) = rows.next()? {
            let outcome: String = row.get(1)?;
            attempt_list.push(Attempt {
                at: Timestamp::from_unix_ms(row.get(0)?),
                outcome: AttemptOutcome::parse(&outcome)
                    .ok_or_else(|| StoreError::Damaged(format!("outcome `{outcome}`")))?,
                reason: row.get(2)?,
                latency_ms: row.get(3)?,
            });
        }
        Ok(Some(DeliveryDetail {
            delivery,
            attempt_list,
        }))
    }

    /// Newest first, with the cursor of the next page.
    pub fn deliveries(
        &self,
        query: &DeliveryQuery,
    ) -> Result<(Vec<Delivery>, Option<i64>), StoreError> {
        let mut values: Vec<Value> = Vec::new();
        let mut condition = String::new();
        let mut one_of = |column: &str, wanted: Vec<String>| {
            if !wanted.is_empty() {
                let marks = vec!["?"; wanted.len()].join(", ");
                condition.push_str(&format!(" AND {column} IN ({marks})"));
                values.extend(wanted.into_iter().map(Value::Text));
            }
        };
        one_of("sink", query.sinks.clone());
        one_of("pipeline", query.pipelines.clone());
        let statuses = query.statuses.iter().map(|status| status.as_str().into());
        one_of("status", statuses.collect());
        if let Some(before) = query.before {
            condition.push_str(&format!(" AND rowid < {before}"));
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE 1{condition} ORDER BY rowid DESC LIMIT {}",
            query.limit
        );
        let bound: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
        let mut statement = self.sql().prepare_cached(&sql)?;
        let mut rows = statement.query(bound.as_slice())?;
        let (mut found, mut last) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            let (delivery, number) = delivery_of(row)?;
            found.push(delivery);
            last = Some(number);
        }
        let full = found.len() == query.limit;
        Ok((found, last.filter(|_| full)))
    }

    /// How much waits for a sink, and how much it has given up.
    pub fn sink_queue(&self, sink: &str) -> Result<SinkQueue, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT count(*) FILTER (WHERE status IN ('pending', 'retrying')),
                count(*) FILTER (WHERE status = 'dead'),
                min(next_attempt) FILTER (WHERE status = 'retrying'),
                (SELECT last_error FROM deliveries WHERE sink = ?1 AND status = 'retrying'
                 ORDER BY position LIMIT 1)
             FROM deliveries WHERE sink = ?1",
        )?;
        Ok(statement.query_row([sink], |row| {
            Ok(SinkQueue {
                pending: row.get(0)?,
                dead: row.get(1)?,
                backing_off_until: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_unix_ms),
                last_error: row.get(3)?,
            })
        })?)
    }
}

/// The delivery and its number.
fn delivery_of(row: &Row<'_>) -> Result<(Delivery, i64), StoreError> {
    let status: String = row.get("status")?;
    let events: String = row.get("events")?;
    let status = DeliveryState::parse(&status)
        .ok_or_else(|| StoreError::Damaged(format!("delivery status `{status}`")))?;
    let ended_at = row
        .get::<_, Option<i64>>("ended_at")?
        .map(Timestamp::from_unix_ms);
    let delivery = Delivery {
        id: row.get("id")?,
        pipeline: row.get("pipeline")?,
        sink: row.get("sink")?,
        status,
        events: serde_json::from_str(&events)?,
        attempts: row.get("attempts")?,
        created_at: Timestamp::from_unix_ms(row.get("created_at")?),
        delivered_at: ended_at.filter(|_| status == DeliveryState::Delivered),
        next_attempt_at: row
            .get::<_, Option<i64>>("next_attempt")?
            .map(Timestamp::from_unix_ms),
        latency_ms: row.get("latency_ms")?,
        last_error: row.get("last_error")?,
    };
    Ok((delivery, row.get("rowid")?))
}

#[cfg(test)]
mod tests {
    use super::{NewDelivery, QUEUE_DELIVERIES_MAX};
    use crate::{
        events::Log,
        store::{PluginWrite, Store},
    };

    #[tokio::test]
    async fn a_queue_whose_sink_is_gone_becomes_dead_letters_which_all_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = directory.path().join("queue.db");
        let (store, _threads) = Store::open(&database, &Log::new()).expect("a store");
        let filled = store.write(|tx| {
            for number in 0..QUEUE_DELIVERIES_MAX {
                tx.insert_delivery(&NewDelivery {
                    id: number.to_string(),
                    pipeline: "all".into(),
                    sink: "gone".into(),
                    subject: String::new(),
                    events: Vec::new(),
                    input: "[]".into(),
                })?;
            }
            let value = PluginWrite {
                key: "seen".into(),
                value: Some(b"1".to_vec()),
            };
            tx.apply_plugin_writes("counts", &[value])
        });
        filled.await.expect("stored");
        let names = || store.read(|reader| reader.plugin_names());
        let known = names().await.expect("read");
        assert_eq!(known, ["counts", "gone"].map(str::to_owned).into());

        while let ended = store.write(|tx| tx.end_queue("gone")).await.expect("ended")
            && !ended.is_empty()
        {
            assert!(ended.iter().all(|it| it.next_attempt_at.is_none()));
        }
        let kept = store.write(|tx| {
            tx.remove_plugin_values("counts")?;
            tx.trim_deliveries()?;
            tx.sink_queue("gone")
        });
        let queue = kept.await.expect("kept");
        assert_eq!(
            (queue.pending, queue.dead),
            (0, QUEUE_DELIVERIES_MAX as u64)
        );
        assert!(names().await.expect("read").is_empty());
    }
}
