//! How much is kept of what waits, and of what has ended.

use rusqlite::params;

use super::read::{COLUMNS, IN_ORDER, delivery_of};
use crate::{
    model::{Delivery, DeliveryState, Timestamp},
    store::{Reader, StoreError, Tx},
};

/// What may wait for one sink; beyond it the oldest become dead letters.
const QUEUE_DELIVERIES_MAX: i64 = 10_000;
const QUEUE_BYTES_MAX: i64 = 64 << 20;

/// Deliveries that have ended are kept so long, at most so many of a sink in each state.
const ENDED_KEPT_MS: i64 = 30 * 86_400_000;
const ENDED: [(DeliveryState, Waiting); 3] = [
    (DeliveryState::Delivered, Waiting::at_most(5_000, 64 << 20)),
    (DeliveryState::Split, Waiting::at_most(5_000, 64 << 20)),
    // Somebody may still want to send them: a whole queue, where its sink is gone.
    (
        DeliveryState::Dead,
        Waiting::at_most(QUEUE_DELIVERIES_MAX, QUEUE_BYTES_MAX),
    ),
];
/// Deliveries that are changed in one transaction, where there may be many.
pub(super) const CHUNK: usize = 500;

/// What waits for one sink.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    deliveries: i64,
    bytes: i64,
}

impl Waiting {
    const fn at_most(deliveries: i64, bytes: i64) -> Self {
        Self { deliveries, bytes }
    }

    /// With one more.
    pub fn and(self, bytes: i64) -> Self {
        Self {
            deliveries: self.deliveries + 1,
            bytes: self.bytes + bytes,
        }
    }

    fn without(self, bytes: i64) -> Self {
        Self {
            deliveries: self.deliveries - 1,
            bytes: self.bytes - bytes,
        }
    }

    pub fn is_too_much(self) -> bool {
        self.deliveries > QUEUE_DELIVERIES_MAX || self.bytes > QUEUE_BYTES_MAX
    }
}

impl Tx<'_> {
    pub(super) fn waiting(&self, sink: &str) -> Result<Waiting, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT count(*), coalesce(sum(octet_length(input)), 0) FROM deliveries
             WHERE sink = ?1 AND status IN ('pending', 'retrying')",
        )?;
        Ok(statement.query_row([sink], |row| {
            Ok(Waiting {
                deliveries: row.get(0)?,
                bytes: row.get(1)?,
            })
        })?)
    }

    /// Makes dead letters of the oldest that a sink's queue has no room for.
    pub fn shed_overflow(&self, sink: &str) -> Result<Vec<Delivery>, StoreError> {
        let mut waiting = self.waiting(sink)?;
        if !waiting.is_too_much() {
            return Ok(Vec::new());
        }
        // But for the first, which is being sent.
        let mut oldest = self.sql().prepare_cached(&format!(
            "SELECT id, octet_length(input) FROM deliveries
             WHERE sink = ?1 AND status IN ('pending', 'retrying')
             ORDER BY {IN_ORDER} LIMIT -1 OFFSET 1"
        ))?;
        let mut rows = oldest.query([sink])?;
        let mut too_much = Vec::new();
        while waiting.is_too_much()
            && let Some(row) = rows.next()?
        {
            too_much.push(row.get(0)?);
            waiting = waiting.without(row.get(1)?);
        }
        self.kill(&too_much, "overflow: the queue of this sink is full")
    }

    /// Makes dead letters of the oldest that wait for a sink that is there no longer, some
    /// at a time.
    pub fn end_queue(&self, sink: &str) -> Result<Vec<Delivery>, StoreError> {
        let mut oldest = self.sql().prepare_cached(&format!(
            "SELECT id FROM deliveries
             WHERE sink = ?1 AND status IN ('pending', 'retrying')
             ORDER BY {IN_ORDER} LIMIT ?2"
        ))?;
        let ids = oldest.query_map(params![sink, CHUNK], |row| row.get(0))?;
        let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
        self.kill(
            &ids,
            "its sink is no longer configured: replay it once it is",
        )
    }

    fn kill(&self, ids: &[String], reason: &str) -> Result<Vec<Delivery>, StoreError> {
        let mut statement = self.sql().prepare_cached(&format!(
            "UPDATE deliveries SET status = 'dead', ended_at = ?2, next_attempt = NULL,
                last_error = ?3 WHERE id = ?1 RETURNING {COLUMNS}"
        ))?;
        let now = Timestamp::now().unix_ms();
        let mut dead = Vec::new();
        for id in ids {
            let mut rows = statement.query(params![id, now, reason])?;
            while let Some(row) = rows.next()? {
                dead.push(delivery_of(row)?.0);
            }
        }
        Ok(dead)
    }

    pub fn delete_deliveries(&self, ids: &[String]) -> Result<(), StoreError> {
        let mut delete = self
            .sql()
            .prepare_cached("DELETE FROM deliveries WHERE id = ?1")?;
        for id in ids {
            delete.execute([id])?;
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// A chunk of what ended long ago, or is too much of it.
    pub fn doomed_deliveries(&self) -> Result<Vec<String>, StoreError> {
        for sink in self.names_in("deliveries", "sink")? {
            for (state, most) in &ENDED {
                let doomed = self.doomed_of(&sink, *state, *most)?;
                if !doomed.is_empty() {
                    return Ok(doomed);
                }
            }
        }
        Ok(Vec::new())
    }

    fn doomed_of(
        &self,
        sink: &str,
        state: DeliveryState,
        most: Waiting,
    ) -> Result<Vec<String>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT id FROM (
                SELECT id, position, ended_at FROM deliveries
                WHERE sink = ?1 AND status = ?2 ORDER BY position LIMIT ?3)
             WHERE ended_at < ?4 OR position <= (
                SELECT max(position) FROM (
                    SELECT position, row_number() OVER newest_first AS place,
                        sum(octet_length(input)) OVER newest_first AS bytes
                    FROM deliveries WHERE sink = ?1 AND status = ?2
                    WINDOW newest_first AS (
                        ORDER BY position DESC ROWS UNBOUNDED PRECEDING))
                WHERE place > ?5 OR bytes > ?6)",
        )?;
        let oldest = Timestamp::now().unix_ms() - ENDED_KEPT_MS;
        let values = params![
            sink,
            state.as_str(),
            CHUNK,
            oldest,
            most.deliveries,
            most.bytes
        ];
        let ids = statement.query_map(values, |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::{CHUNK, QUEUE_DELIVERIES_MAX};
    use crate::{
        events::Log,
        model::DeliveryState,
        store::{NewDelivery, PluginWrite, Replay, Store, Tx, retention::trim_deliveries},
    };

    fn fill(tx: &Tx<'_>, sink: &str, numbers: impl IntoIterator<Item = i64>) {
        for number in numbers {
            tx.insert_delivery(&NewDelivery {
                id: number.to_string(),
                pipeline: "all".into(),
                sink: sink.into(),
                subject: String::new(),
                events: Vec::new(),
                input: "[]".into(),
            })
            .expect("stored");
        }
    }

    #[tokio::test]
    async fn a_full_queue_gives_up_its_oldest_and_takes_no_dead_letters_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = directory.path().join("queue.db");
        let (store, _threads) = Store::open(&database, &Log::new()).expect("a store");
        let told = store.write(|tx| {
            fill(tx, "slow", 1..=QUEUE_DELIVERIES_MAX);
            assert_eq!(tx.shed_overflow("slow")?, []);
            fill(
                tx,
                "slow",
                QUEUE_DELIVERIES_MAX + 1..=QUEUE_DELIVERIES_MAX + 3,
            );
            let shed = tx.shed_overflow("slow")?;
            assert!(shed.iter().all(|it| it.status == DeliveryState::Dead));
            let shed: Vec<String> = shed.into_iter().map(|it| it.id).collect();
            // The first is being sent.
            assert_eq!(shed, ["2", "3", "4"]);
            assert_eq!(tx.replay_delivery("2")?, Replay::QueueFull);
            assert_eq!(tx.replay_delivery("5")?, Replay::NotDead);
            // Two are sent.
            tx.sql()
                .execute("DELETE FROM deliveries WHERE id IN ('1', '5')", [])?;
            assert_eq!(tx.replay_deliveries("slow", CHUNK)?, 2);
            assert_eq!(tx.shed_overflow("slow")?, []);
            tx.sink_queue("slow")
        });
        let queue = told.await.expect("a queue");
        assert_eq!(
            (queue.pending, queue.dead),
            (QUEUE_DELIVERIES_MAX as u64, 1)
        );
    }

    #[tokio::test]
    async fn a_few_large_deliveries_fill_a_queue_as_well() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = directory.path().join("queue.db");
        let (store, _threads) = Store::open(&database, &Log::new()).expect("a store");
        let told = store.write(|tx| {
            let large = "x".repeat(16 << 20);
            for id in ["1", "2", "3", "4", "5", "6"] {
                tx.insert_delivery(&NewDelivery {
                    id: id.into(),
                    pipeline: "all".into(),
                    sink: "slow".into(),
                    subject: String::new(),
                    events: Vec::new(),
                    input: large.clone(),
                })?;
            }
            let shed = tx.shed_overflow("slow")?;
            let shed: Vec<String> = shed.into_iter().map(|it| it.id).collect();
            assert_eq!(shed, ["2", "3"]);
            assert_eq!(tx.replay_delivery("2")?, Replay::QueueFull);
            assert_eq!(tx.replay_deliveries("slow", CHUNK)?, 0);
            tx.sink_queue("slow")
        });
        let queue = told.await.expect("a queue");
        assert_eq!((queue.pending, queue.dead), (4, 2));
    }

    #[tokio::test]
    async fn a_queue_whose_sink_is_gone_becomes_dead_letters_which_all_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = directory.path().join("queue.db");
        let (store, _threads) = Store::open(&database, &Log::new()).expect("a store");
        let filled = store.write(|tx| {
            fill(tx, "gone", 1..=QUEUE_DELIVERIES_MAX);
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
        let removed = store.write(|tx| tx.remove_plugin_values("counts"));
        removed.await.expect("removed");
        let trimmed = trim_deliveries(&store, &CancellationToken::new()).await;
        trimmed.expect("trimmed");
        let kept = store.read(|reader| reader.sink_queue("gone"));
        let queue = kept.await.expect("kept");
        assert_eq!(
            (queue.pending, queue.dead),
            (0, QUEUE_DELIVERIES_MAX as u64)
        );
        assert!(names().await.expect("read").is_empty());
    }
}
