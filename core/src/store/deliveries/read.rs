use rusqlite::{Row, ToSql, params, types::Value};

use super::{DeliveryQuery, QueuedDelivery};
use crate::{
    model::{
        Attempt, AttemptOutcome, Delivery, DeliveryDetail, DeliveryState, SinkQueue, Timestamp,
    },
    store::{Reader, StoreError},
};

pub(super) const COLUMNS: &str =
    "rowid, id, pipeline, sink, status, attempts, created_at, ended_at,
    next_attempt, latency_ms, last_error, version, digest, events";

/// The order of a queue. The parts of a delivery that was split have its position: they
/// are in the order of their events.
pub(super) const IN_ORDER: &str = "position, json_extract(events, '$[0]'), rowid";

/// Attempts that are shown of one delivery: there may be hundreds in three days, and each
/// replay begins anew.
const ATTEMPTS_SHOWN: u32 = 100;

/// Each part by its status: the index counts, and no row is looked at but those that are
/// tried again.
const SINK_QUEUE: &str = "SELECT
    (SELECT count(*) FROM deliveries WHERE sink = ?1 AND status IN ('pending', 'retrying')),
    (SELECT count(*) FROM deliveries WHERE sink = ?1 AND status = 'dead'),
    (SELECT min(next_attempt) FROM deliveries WHERE sink = ?1 AND status = 'retrying'),
    (SELECT last_error FROM deliveries WHERE sink = ?1 AND status = 'retrying'
     ORDER BY position LIMIT 1)";

impl Reader<'_> {
    /// The oldest delivery that a sink has not ended.
    pub fn next_delivery(&self, sink: &str) -> Result<Option<QueuedDelivery>, StoreError> {
        // Attempts are told apart by their number: times are those of a clock that may be
        // set back.
        let sql = format!(
            "SELECT {COLUMNS}, first_attempt, input, attempts - attempts_before AS tries,
                (SELECT count(*) FROM delivery_attempts AS a
                 WHERE a.delivery = deliveries.id AND a.number > attempts_before
                    AND a.number > (SELECT coalesce(max(b.number), 0) FROM delivery_attempts AS b
                        WHERE b.delivery = deliveries.id AND b.outcome <> 'fault')) AS faults,
                (SELECT max(a.at) FROM delivery_attempts AS a
                 WHERE a.delivery = deliveries.id AND a.number = attempts) AS last_attempt
             FROM deliveries
             WHERE sink = ?1 AND status IN ('pending', 'retrying') AND position = (
                SELECT min(position) FROM (
                    SELECT min(position) AS position FROM deliveries
                    WHERE sink = ?1 AND status = 'pending'
                    UNION ALL
                    SELECT min(position) FROM deliveries WHERE sink = ?1 AND status = 'retrying'))
             ORDER BY {IN_ORDER} LIMIT 1"
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
            last_attempt: row
                .get::<_, Option<i64>>("last_attempt")?
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

    /// With its newest attempts.
    pub fn delivery_detail(&self, id: &str) -> Result<Option<DeliveryDetail>, StoreError> {
        let Some(delivery) = self.delivery(id)? else {
            return Ok(None);
        };
        let mut statement = self.sql().prepare_cached(
            "SELECT at, outcome, reason, latency_ms FROM (
                SELECT number, at, outcome, reason, latency_ms FROM delivery_attempts
                WHERE delivery = ?1 ORDER BY number DESC LIMIT ?2)
             ORDER BY number",
        )?;
        let mut rows = statement.query(params![id, ATTEMPTS_SHOWN])?;
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
        let mut statement = self.sql().prepare_cached(SINK_QUEUE)?;
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
pub(super) fn delivery_of(row: &Row<'_>) -> Result<(Delivery, i64), StoreError> {
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
        version: row.get("version")?,
        digest: row.get("digest")?,
    };
    Ok((delivery, row.get("rowid")?))
}

#[cfg(test)]
mod tests {
    use super::{ATTEMPTS_SHOWN, SINK_QUEUE};
    use crate::{
        events::Log,
        model::{AttemptOutcome, EventId, Timestamp},
        store::{AfterAttempt, AttemptRecord, NewDelivery, Store},
    };

    #[tokio::test]
    async fn of_many_attempts_the_newest_are_shown_and_all_are_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _threads) = Store::open(&dir.path().join("db"), &Log::new()).expect("a store");
        let made = ATTEMPTS_SHOWN + 5;
        let shown = store.write(move |tx| {
            tx.insert_delivery(&NewDelivery {
                id: "one".into(),
                pipeline: "all".into(),
                sink: "hook".into(),
                subject: String::new(),
                events: vec![EventId(1)],
                input: "[]".into(),
            })?;
            for at in 1..=made {
                let record = AttemptRecord {
                    at: Timestamp::from_unix_ms(i64::from(at)),
                    latency_ms: 1,
                    outcome: AttemptOutcome::Retry,
                    reason: None,
                    by: None,
                    next: AfterAttempt::RetryAt(Timestamp::from_unix_ms(0)),
                };
                tx.record_attempt("one", &record)?;
            }
            tx.delivery_detail("one")
        });
        let shown = shown.await.expect("read").expect("it is there");
        assert_eq!(shown.delivery.attempts, made);
        let times: Vec<i64> = shown
            .attempt_list
            .iter()
            .map(|it| it.at.unix_ms())
            .collect();
        let newest: Vec<i64> = (6..=i64::from(made)).collect();
        assert_eq!(times, newest);
    }

    #[tokio::test]
    async fn what_a_sink_has_sent_is_not_looked_at_to_show_its_queue() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _threads) = Store::open(&dir.path().join("db"), &Log::new()).expect("a store");
        let planned = store.read(|reader| {
            let plan = format!("EXPLAIN QUERY PLAN {SINK_QUEUE}");
            let mut statement = reader.sql().prepare(&plan)?;
            let rows = statement.query_map(["hook"], |row| row.get::<_, String>("detail"))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        });
        let mut steps = planned.await.expect("a plan");
        steps.retain(|step| step.contains("deliveries"));
        assert_eq!(steps.len(), 4, "{steps:?}");
        let by_status = |step: &String| step.contains("(sink=? AND status=?)");
        assert!(steps.iter().all(by_status), "{steps:?}");
    }
}
