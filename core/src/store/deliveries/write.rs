use rusqlite::{OptionalExtension, params};

use super::{AfterAttempt, AttemptRecord, NewDelivery};
use crate::{
    model::{Delivery, DeliveryState, Timestamp},
    store::{StoreError, Tx},
};

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
}
