use std::time::Duration;

use rusqlite::params;
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError, Tx};
use crate::model::{EventId, Timestamp};

/// How much of the journal is kept. Log lines have limits of their own, so
/// that they never push other events out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub events_days: u32,
    pub events_max: u64,
    pub logs_days: u32,
    pub logs_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events_days: 90,
            events_max: 1_000_000,
            logs_days: 30,
            logs_max: 2_000_000,
        }
    }
}

const INTERVAL: Duration = Duration::from_secs(60);
/// Rows per transaction: short enough not to be felt by those who publish.
const CHUNK_ROWS: u64 = 2_000;
const DAY_MS: i64 = 86_400_000;

#[derive(Clone, Copy)]
enum Table {
    Events,
    Logs,
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Logs => "deploy_logs",
        }
    }

    const fn floor_key(self) -> &'static str {
        match self {
            Self::Events => "events_floor",
            Self::Logs => "logs_floor",
        }
    }
}

/// Deletes what is too old or too much, a chunk at a time, until cancelled.
pub async fn run(store: Store, retention: Retention, token: CancellationToken) {
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            _ = interval.tick() => {}
        }
        let tables = [
            (Table::Events, retention.events_days, retention.events_max),
            (Table::Logs, retention.logs_days, retention.logs_max),
        ];
        for (table, days, rows_max) in tables {
            let oldest =
                Timestamp::from_unix_ms(Timestamp::now().unix_ms() - i64::from(days) * DAY_MS);
            if let Err(error) = trim(&store, table, oldest, rows_max, &token).await {
                tracing::warn!(%error, table = table.name(), "retention has to wait");
            }
        }
        if let Err(error) = store.write(|tx| tx.trim_deliveries()).await {
            tracing::warn!(%error, table = "deliveries", "retention has to wait");
        }
    }
}

async fn trim(
    store: &Store,
    table: Table,
    oldest: Timestamp,
    rows_max: u64,
    token: &CancellationToken,
) -> Result<(), StoreError> {
    while !token.is_cancelled() {
        let deleted = store
            .write(move |tx| tx.trim_chunk(table, oldest, rows_max))
            .await?;
        if deleted == 0 {
            break;
        }
    }
    Ok(())
}

impl Tx<'_> {
    /// Deletes the oldest rows that must go, at most a chunk of them, and
    /// moves the floor below which a resume is answered with `reset`.
    fn trim_chunk(
        &mut self,
        table: Table,
        oldest: Timestamp,
        rows_max: u64,
    ) -> Result<u64, StoreError> {
        let name = table.name();
        let rows: i64 =
            self.sql()
                .query_row(&format!("SELECT count(*) FROM {name}"), [], |row| {
                    row.get(0)
                })?;
        let too_many = u64::try_from(rows)
            .unwrap_or(0)
            .saturating_sub(rows_max)
            .min(CHUNK_ROWS);
        let floor: Option<i64> = self.sql().query_row(
            &format!(
                "SELECT max(id) FROM (
                    SELECT id, time, row_number() OVER (ORDER BY id) AS place
                    FROM (SELECT id, time FROM {name} ORDER BY id LIMIT ?1)
                 ) WHERE time < ?2 OR place <= ?3"
            ),
            params![CHUNK_ROWS as i64, oldest.unix_ms(), too_many as i64],
            |row| row.get(0),
        )?;
        let Some(floor) = floor else { return Ok(0) };
        let deleted = self
            .sql()
            .execute(&format!("DELETE FROM {name} WHERE id <= ?1"), [floor])?;
        self.sql().execute("DELETE FROM annotations WHERE event <= ?1 AND NOT EXISTS (SELECT 1 FROM events WHERE id = event)", [floor])?;
        self.set_meta(table.floor_key(), &EventId(floor).to_string())?;
        self.sql().execute_batch("PRAGMA incremental_vacuum(64)")?;
        Ok(deleted as u64)
    }
}
