//! What is too old or too much goes, a little at a time. A reader searches for it; the
//! writer, and with it whoever publishes, is held up for the deletion alone.

mod age;
mod size;

use std::{collections::HashMap, time::Duration};

use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Reader, Store, StoreError, Tx, kept::Amount};
use crate::model::{EventId, EventType};
pub use age::Days;
use age::{Aged, Begins};
use size::Limits;

/// How much of the journal is kept. Log lines have limits of their own, so
/// that they never push other events out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub days: Days,
    pub events_max: u64,
    pub events_mib: u64,
    pub logs_max: u64,
    pub logs_mib: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            days: Days::new(90, 30),
            events_max: 1_000_000,
            events_mib: 1024,
            logs_max: 2_000_000,
            logs_mib: 1024,
        }
    }
}

const INTERVAL: Duration = Duration::from_secs(10);
/// Rows that are searched for at once.
const CHUNK_ROWS: usize = 1_000;
/// Rows per transaction: whoever publishes waits for these at most.
const PIECE_ROWS: usize = 100;
/// The same for what has more in it: a delivery with its attempts, a trace of many events.
const PIECE_LARGE_ROWS: usize = 25;
/// Free pages that the file keeps for what comes next (8 MiB); those beyond go
/// back to the disk, a few per transaction.
const FREE_PAGES_MAX: u32 = 1_024;
const VACUUM_PAGES: u32 = 32;

/// How large an event is: with what enrichers added to it.
const SIZE: &str = "octet_length(frame) + ifnull(
    (SELECT sum(octet_length(json)) FROM annotations WHERE event = id), 0)";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Table {
    Events,
    Logs,
}

/// A row that has to go.
#[derive(Clone, Copy)]
struct Doomed {
    id: EventId,
    kind: EventType,
    bytes: usize,
}

/// Deletes what is too old or too much.
pub struct Trimmer {
    store: Store,
    retention: Retention,
    begins: Begins,
}

impl Trimmer {
    pub fn new(store: Store, retention: Retention) -> Self {
        Self {
            store,
            retention,
            begins: Begins::default(),
        }
    }

    /// Now and again until cancelled. The first time is the caller's.
    pub async fn run(mut self, token: CancellationToken) {
        let mut interval = interval_at(Instant::now() + INTERVAL, INTERVAL);
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                _ = interval.tick() => self.trim_all(&token).await,
            }
        }
    }

    /// All that there is, a chunk at a time; ends early when cancelled.
    pub async fn trim_all(&mut self, token: &CancellationToken) {
        for table in [Table::Events, Table::Logs] {
            if let Err(error) = self.trim(table, token).await {
                tracing::warn!(%error, table = table.name(), "retention has to wait");
            }
        }
        if let Err(error) = trim_deliveries(&self.store, token).await {
            tracing::warn!(%error, table = "deliveries", "retention has to wait");
        }
        if let Err(error) = trim_traces(&self.store, token).await {
            tracing::warn!(%error, table = "traces", "retention has to wait");
        }
        if let Err(error) = give_back(&self.store, token).await {
            tracing::warn!(%error, "free space stays in the database");
        }
    }

    /// Nobody else deletes events, and none ever changes.
    async fn trim(&mut self, table: Table, token: &CancellationToken) -> Result<(), StoreError> {
        for aged in Aged::all_of(table, &self.retention.days) {
            while !token.is_cancelled() {
                let (wanted, begin) = (aged.clone(), self.begins.of(&aged));
                let search = move |reader: &Reader<'_>| reader.too_old(&wanted, begin);
                let looked = self.store.read(search).await?;
                self.begins.set(&aged, looked.begin);
                if looked.is_over {
                    break;
                }
                self.delete(table, &looked.doomed).await?;
            }
        }
        let limits = Limits::of(table, &self.retention);
        while !token.is_cancelled() {
            let search = move |reader: &Reader<'_>| reader.too_much(table, limits);
            let doomed = self.store.read(search).await?;
            if doomed.is_empty() {
                break;
            }
            self.delete(table, &doomed).await?;
        }
        Ok(())
    }

    async fn delete(&self, table: Table, doomed: &[Doomed]) -> Result<(), StoreError> {
        for Doomed { id, kind, .. } in doomed {
            self.store.floors().raise(*kind, *id);
        }
        let delete = move |tx: &mut Tx<'_>, piece: &[Doomed]| tx.delete_events(table, piece);
        in_pieces(&self.store, doomed, PIECE_ROWS, delete).await
    }
}

pub(super) async fn trim_traces(
    store: &Store,
    token: &CancellationToken,
) -> Result<(), StoreError> {
    while !token.is_cancelled() {
        let doomed = store.read(|reader| reader.doomed_traces()).await?;
        if doomed.is_empty() {
            break;
        }
        in_pieces(store, &doomed, PIECE_LARGE_ROWS, |tx, piece| {
            tx.delete_traces(piece)
        })
        .await?;
    }
    Ok(())
}

pub(super) async fn trim_deliveries(
    store: &Store,
    token: &CancellationToken,
) -> Result<(), StoreError> {
    while !token.is_cancelled() {
        let doomed = store.read(|reader| reader.doomed_deliveries()).await?;
        if doomed.is_empty() {
            break;
        }
        in_pieces(store, &doomed, PIECE_LARGE_ROWS, |tx, piece| {
            tx.delete_deliveries(piece)
        })
        .await?;
    }
    Ok(())
}

/// Deletes some rows at a time: what others write goes in between.
async fn in_pieces<T: Clone + Send + 'static>(
    store: &Store,
    doomed: &[T],
    rows: usize,
    delete: impl Fn(&mut Tx<'_>, &[T]) -> Result<(), StoreError> + Copy + Send + 'static,
) -> Result<(), StoreError> {
    for piece in doomed.chunks(rows) {
        let piece = piece.to_vec();
        store.write(move |tx| delete(tx, &piece)).await?;
    }
    Ok(())
}

async fn give_back(store: &Store, token: &CancellationToken) -> Result<(), StoreError> {
    while !token.is_cancelled() && store.write(|tx| tx.give_back_pages()).await? {}
    Ok(())
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Logs => "deploy_logs",
        }
    }

    /// The type of a row.
    const fn kind(self) -> &'static str {
        match self {
            Self::Events => "type",
            Self::Logs => "'deploy_log'",
        }
    }

    fn holds(self, kind: EventType) -> bool {
        (self == Self::Logs) == (kind == EventType::DeployLog)
    }
}

fn doomed(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Doomed>, StoreError> {
    let mut doomed = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(1)?;
        doomed.push(Doomed {
            id: EventId(row.get(0)?),
            kind: EventType::parse(&kind)
                .ok_or_else(|| StoreError::Damaged(format!("event type `{kind}` is not known")))?,
            bytes: row.get(2)?,
        });
    }
    Ok(doomed)
}

impl Tx<'_> {
    /// Moves the floor, too, below which a resume is answered with `reset`.
    fn delete_events(&mut self, table: Table, doomed: &[Doomed]) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE id = ?1", table.name());
        let mut row = self.sql().prepare_cached(&sql)?;
        let mut annotations = self
            .sql()
            .prepare_cached("DELETE FROM annotations WHERE event = ?1")?;
        let mut deleted: HashMap<EventType, (Amount, EventId)> = HashMap::new();
        for Doomed { id, kind, bytes } in doomed {
            row.execute([id.0])?;
            annotations.execute([id.0])?;
            let (amount, newest) = deleted.entry(*kind).or_default();
            amount.add(*bytes);
            *newest = (*newest).max(*id);
        }
        for (kind, (amount, newest)) in deleted {
            self.count_deleted(kind, amount, newest)?;
        }
        Ok(())
    }

    /// Whether there was something to give back.
    fn give_back_pages(&mut self) -> Result<bool, StoreError> {
        let free: u32 = self
            .sql()
            .query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        let pages = free.saturating_sub(FREE_PAGES_MAX).min(VACUUM_PAGES);
        if pages == 0 {
            return Ok(false);
        }
        let sql = format!("PRAGMA incremental_vacuum({pages})");
        let mut statement = self.sql().prepare(&sql)?;
        let mut freed = statement.query([])?;
        // It frees one page for each row that it answers with.
        while freed.next()?.is_some() {}
        Ok(true)
    }
}
