//! How much is kept of what waits, and of what has ended.

use rusqlite::params;

use super::read::{COLUMNS, delivery_of};
use crate::{
    model::{Delivery, Timestamp},
    store::{StoreError, Tx},
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

impl Tx<'_> {
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

#[cfg(test)]
mod tests {
    use super::QUEUE_DELIVERIES_MAX;
    use crate::{
        events::Log,
        store::{NewDelivery, PluginWrite, Store},
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
