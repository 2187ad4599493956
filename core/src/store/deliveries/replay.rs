//! Dead letters that wait again.

use rusqlite::{OptionalExtension, params};

use super::{bounds::CHUNK, read::IN_ORDER};
use crate::store::{StoreError, Tx};

/// Dead letters in one transaction, where there may be many.
pub const REPLAYED_AT_ONCE: usize = CHUNK;

/// What became of one that was to wait again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    Waits,
    /// What waits already would have to make room.
    QueueFull,
    NotDead,
}

impl Tx<'_> {
    /// Puts a dead letter back to the end of its sink's queue.
    pub fn replay_delivery(&self, id: &str) -> Result<Replay, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT sink, octet_length(input) FROM deliveries WHERE id = ?1 AND status = 'dead'",
        )?;
        let found = statement.query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)));
        let Some((sink, bytes)) = found.optional()? else {
            return Ok(Replay::NotDead);
        };
        if self.waiting(&sink)?.and(bytes).is_too_much() {
            return Ok(Replay::QueueFull);
        }
        self.wait_again(id)?;
        Ok(Replay::Waits)
    }

    /// The same with the first `limit` dead letters of a sink, as far as there is room; how
    /// many those were.
    pub fn replay_deliveries(&self, sink: &str, limit: usize) -> Result<usize, StoreError> {
        let mut statement = self.sql().prepare_cached(&format!(
            "SELECT id, octet_length(input) FROM deliveries WHERE sink = ?1 AND status = 'dead'
             ORDER BY {IN_ORDER} LIMIT ?2"
        ))?;
        let dead = statement.query_map(params![sink, limit], |row| Ok((row.get(0)?, row.get(1)?)));
        let dead: Vec<(String, i64)> = dead?.collect::<Result<_, _>>()?;
        let mut waiting = self.waiting(sink)?;
        for (replayed, (id, bytes)) in dead.iter().enumerate() {
            waiting = waiting.and(*bytes);
            if waiting.is_too_much() {
                return Ok(replayed);
            }
            self.wait_again(id)?;
        }
        Ok(dead.len())
    }

    fn wait_again(&self, id: &str) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(
                "UPDATE deliveries SET status = 'pending', next_attempt = NULL, ended_at = NULL,
                    first_attempt = NULL, attempts_before = attempts,
                    position = (SELECT max(position) + 1 FROM deliveries)
                 WHERE id = ?1",
            )?
            .execute(params![id])?;
        Ok(())
    }
}
