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
        let (version, digest) = record.by.clone().unzip();
        let changed = self.sql().execute(
            // One that was given up meanwhile, since there was no room, waits no more.
            "UPDATE deliveries SET attempts = attempts + 1,
                first_attempt = coalesce(first_attempt, ?3), latency_ms = ?6,
                version = ?8, digest = ?9,
                status = iif(status = 'dead' AND ?2 = 'retrying', status, ?2),
                next_attempt = iif(status = 'dead' AND ?2 = 'retrying', next_attempt, ?4),
                ended_at = iif(status = 'dead' AND ?2 = 'retrying', ended_at, ?5),
                last_error = iif(status = 'dead' AND ?2 = 'retrying', last_error, ?7)
             WHERE id = ?1",
            params![
                id,
                status.as_str(),
                record.at.unix_ms(),
                next.map(Timestamp::unix_ms),
                ended.map(Timestamp::unix_ms),
                record.latency_ms,
                record.reason,
                version,
                digest,
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::Log,
        model::{AttemptOutcome, EventId},
        store::{Replay, Store},
    };

    fn delivery(id: &str, events: &[i64]) -> NewDelivery {
        NewDelivery {
            id: id.into(),
            pipeline: "all".into(),
            sink: "hook".into(),
            subject: String::new(),
            events: events.iter().map(|id| EventId(*id)).collect(),
            input: "[]".into(),
        }
    }

    fn attempt(at: i64, next: AfterAttempt) -> AttemptRecord {
        AttemptRecord {
            at: Timestamp::from_unix_ms(at),
            latency_ms: 1,
            outcome: AttemptOutcome::Fault,
            reason: None,
            by: None,
            next,
        }
    }

    async fn in_a_store(
        change: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _threads) = Store::open(&dir.path().join("db"), &Log::new()).expect("a store");
        store.write(change).await.expect("written");
    }

    #[tokio::test]
    async fn what_is_split_again_and_again_stays_in_the_order_of_its_events() {
        in_a_store(|tx| {
            tx.insert_delivery(&delivery("all", &[1, 2, 3, 4]))?;
            tx.insert_delivery(&delivery("next", &[5]))?;
            let mut order = Vec::new();
            while let Some(next) = tx.next_delivery("hook")? {
                let Delivery { id, events, .. } = next.delivery;
                let after = match events.as_slice() {
                    [one] => {
                        order.push(one.0);
                        AfterAttempt::Delivered
                    }
                    events => {
                        let ids: Vec<i64> = events.iter().map(|id| id.0).collect();
                        let (first, second) = ids.split_at(ids.len() / 2);
                        let half = |name: &str, ids: &[i64]| delivery(&format!("{id}{name}"), ids);
                        AfterAttempt::Split(vec![half("a", first), half("b", second)])
                    }
                };
                tx.record_attempt(&id, &attempt(1, after))?;
            }
            assert_eq!(order, [1, 2, 3, 4, 5]);
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn attempts_count_whatever_the_clock_says_and_anew_after_a_replay() {
        in_a_store(|tx| {
            tx.insert_delivery(&delivery("one", &[1]))?;
            let retry = || AfterAttempt::RetryAt(Timestamp::from_unix_ms(0));
            for (number, at) in [(1, 5_000), (2, 1_000), (3, 2_000)] {
                tx.record_attempt("one", &attempt(at, retry()))?;
                let queued = tx.next_delivery("hook")?.expect("it waits");
                assert_eq!((queued.tries, queued.faults), (number, number));
                assert_eq!(queued.last_attempt, Some(Timestamp::from_unix_ms(at)));
            }
            tx.record_attempt("one", &attempt(3_000, AfterAttempt::Dead))?;
            assert_eq!(tx.replay_delivery("one")?, Replay::Waits);
            let queued = tx.next_delivery("hook")?.expect("it waits");
            assert_eq!((queued.tries, queued.faults), (0, 0));
            tx.record_attempt("one", &attempt(4_000, retry()))?;
            let queued = tx.next_delivery("hook")?.expect("it waits");
            assert_eq!((queued.tries, queued.delivery.attempts), (1, 5));
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn what_was_given_up_during_its_attempt_waits_no_more() {
        in_a_store(|tx| {
            tx.insert_delivery(&delivery("one", &[1]))?;
            tx.end_queue("hook")?;
            let retry = AfterAttempt::RetryAt(Timestamp::from_unix_ms(9_000));
            let told = tx
                .record_attempt("one", &attempt(1, retry))?
                .expect("there");
            assert_eq!(
                (told.status, told.next_attempt_at),
                (DeliveryState::Dead, None)
            );
            let told = tx.record_attempt("one", &attempt(1, AfterAttempt::Delivered))?;
            assert_eq!(told.expect("there").status, DeliveryState::Delivered);
            Ok(())
        })
        .await;
    }
}
