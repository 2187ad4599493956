use std::{collections::HashMap, time::Duration};

use rusqlite::params;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use super::{
    Reader, Store, StoreError, Tx,
    kept::{Amount, Kept},
};
use crate::model::{EventId, EventType, Timestamp};

/// How much of the journal is kept. Log lines have limits of their own, so
/// that they never push other events out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub events_days: u32,
    pub events_max: u64,
    pub events_mib: u64,
    pub logs_days: u32,
    pub logs_max: u64,
    pub logs_mib: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events_days: 90,
            events_max: 1_000_000,
            events_mib: 1024,
            logs_days: 30,
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
const DAY_MS: i64 = 86_400_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Events,
    Logs,
}

#[derive(Clone, Copy)]
struct Limits {
    days: u32,
    rows: u64,
    bytes: u64,
}

/// A row that has to go.
#[derive(Clone, Copy)]
struct Doomed {
    id: EventId,
    kind: EventType,
    bytes: usize,
}

/// Deletes what is too old or too much, now and again, until cancelled. The first time is
/// the caller's.
pub async fn run(store: Store, retention: Retention, token: CancellationToken) {
    let mut interval = interval_at(Instant::now() + INTERVAL, INTERVAL);
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            _ = interval.tick() => trim_all(&store, &retention, &token).await,
        }
    }
}

/// Deletes what is too old or too much, a chunk at a time; ends early when cancelled.
pub async fn trim_all(store: &Store, retention: &Retention, token: &CancellationToken) {
    for table in [Table::Events, Table::Logs] {
        if let Err(error) = trim(store, table, table.limits(retention), token).await {
            tracing::warn!(%error, table = table.name(), "retention has to wait");
        }
    }
    if let Err(error) = trim_deliveries(store, token).await {
        tracing::warn!(%error, table = "deliveries", "retention has to wait");
    }
    if let Err(error) = trim_traces(store, token).await {
        tracing::warn!(%error, table = "traces", "retention has to wait");
    }
    if let Err(error) = give_back(store, token).await {
        tracing::warn!(%error, "free space stays in the database");
    }
}

/// What has to go is searched for by a reader, so that the writer is held up
/// for the deletion alone. Nobody else deletes events, and none ever changes.
async fn trim(
    store: &Store,
    table: Table,
    limits: Limits,
    token: &CancellationToken,
) -> Result<(), StoreError> {
    while !token.is_cancelled() {
        let doomed = store
            .read(move |reader| reader.doomed(table, limits))
            .await?;
        if doomed.is_empty() {
            break;
        }
        for Doomed { id, kind, .. } in &doomed {
            store.floors().raise(*kind, *id);
        }
        in_pieces(store, &doomed, PIECE_ROWS, move |tx, piece| {
            tx.delete_events(table, piece)
        })
        .await?;
    }
    Ok(())
}

/// As with events: a reader searches, the writer only deletes.
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

    const fn limits(self, retention: &Retention) -> Limits {
        let (days, rows, mib) = match self {
            Self::Events => (
                retention.events_days,
                retention.events_max,
                retention.events_mib,
            ),
            Self::Logs => (retention.logs_days, retention.logs_max, retention.logs_mib),
        };
        Limits {
            days,
            rows,
            bytes: mib << 20,
        }
    }

    fn holds(self, kind: EventType) -> bool {
        (self == Self::Logs) == (kind == EventType::DeployLog)
    }
}

impl Reader<'_> {
    /// At most a chunk of what has to go. Empty when there is nothing.
    fn doomed(&self, table: Table, limits: Limits) -> Result<Vec<Doomed>, StoreError> {
        let age_ms = i64::from(limits.days) * DAY_MS;
        let oldest = Timestamp::from_unix_ms(Timestamp::now().unix_ms() - age_ms);
        let too_old = self.too_old(table, oldest)?;
        if !too_old.is_empty() {
            return Ok(too_old);
        }
        self.too_much(table, limits)
    }

    /// Among the first rows, everything up to the last one that is too old: times come
    /// from the sources of events and are not quite in order. But not beyond one that is
    /// younger by a day: what is old behind it comes from a clock that was wrong. What says
    /// the future comes from one, too, and goes with what is old behind it.
    fn too_old(&self, table: Table, oldest: Timestamp) -> Result<Vec<Doomed>, StoreError> {
        let (name, kind) = (table.name(), table.kind());
        let mut statement = self.sql().prepare_cached(&format!(
            "WITH first AS (SELECT id, time FROM {name} WHERE time <= ?4 ORDER BY id LIMIT ?1),
                  young AS (SELECT min(id) AS id FROM first WHERE time >= ?3)
             SELECT id, {kind}, octet_length(frame) FROM {name} WHERE id <= (
                SELECT max(id) FROM first
                WHERE time < ?2 AND id < ifnull((SELECT id FROM young), id + 1))
             ORDER BY id LIMIT ?1"
        ))?;
        let oldest = oldest.unix_ms();
        let (young, now) = (oldest + DAY_MS, Timestamp::now().unix_ms());
        doomed(statement.query(params![CHUNK_ROWS, oldest, young, now])?)
    }

    /// Where there is too much, the type that takes most of it gives its oldest:
    /// a flood of one type does not push the others out.
    fn too_much(&self, table: Table, limits: Limits) -> Result<Vec<Doomed>, StoreError> {
        let mut kept = self.kept()?;
        kept.retain(|kept| table.holds(kept.kind));
        let by_rows = take_from(&kept, |amount| amount.rows, limits.rows);
        let by_bytes = take_from(&kept, |amount| amount.bytes, limits.bytes);
        let (kind, floor, measure, mut take): (_, _, fn(&Doomed) -> u64, _) =
            match (by_rows, by_bytes) {
                (Some((from, take)), _) => (from.kind, from.floor, |_| 1, take),
                (None, Some((from, take))) => {
                    (from.kind, from.floor, |doomed| doomed.bytes as u64, take)
                }
                (None, None) => return Ok(Vec::new()),
            };
        let mut doomed = self.oldest(table, kind, floor)?;
        let enough = doomed.iter().position(|row| {
            take = take.saturating_sub(measure(row));
            take == 0
        });
        doomed.truncate(enough.map_or(CHUNK_ROWS, |last| last + 1));
        Ok(doomed)
    }

    fn oldest(
        &self,
        table: Table,
        kind: EventType,
        after: EventId,
    ) -> Result<Vec<Doomed>, StoreError> {
        let (name, column) = (table.name(), table.kind());
        let mut statement = self.sql().prepare_cached(&format!(
            "SELECT id, {column}, octet_length(frame) FROM {name}
             WHERE id > ?1 AND {column} = ?2 ORDER BY id LIMIT ?3"
        ))?;
        doomed(statement.query(params![after.0, kind.as_str(), CHUNK_ROWS])?)
    }
}

/// From whom to take how much, so that in the end there is no more than `limit`
/// and whoever has most has given most.
fn take_from(kept: &[Kept], measure: fn(&Amount) -> u64, limit: u64) -> Option<(&Kept, u64)> {
    let total: u64 = kept.iter().map(|kept| measure(&kept.amount)).sum();
    let over = total.checked_sub(limit).filter(|over| *over > 0)?;
    let most = kept.iter().max_by_key(|kept| measure(&kept.amount))?;
    let others = kept.iter().filter(|kept| kept.kind != most.kind);
    let next = others.map(|kept| measure(&kept.amount)).max();
    let lead = measure(&most.amount) - next.unwrap_or(0);
    let share = (over / kept.len() as u64).max(1);
    Some((most, lead.max(share).min(over)))
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

#[cfg(test)]
mod tests {
    use super::{Amount, EventId, EventType, Kept, take_from};

    fn kept(kind: EventType, rows: u64) -> Kept {
        Kept {
            kind,
            amount: Amount { rows, bytes: 0 },
            floor: EventId(0),
        }
    }

    /// Takes until there is no more than `limit`; what is left of each.
    fn left_of(rows: [u64; 3], limit: u64) -> [u64; 3] {
        let kinds = [EventType::System, EventType::Audit, EventType::WatchGap];
        let mut all: Vec<Kept> = kinds
            .into_iter()
            .zip(rows)
            .map(|(kind, rows)| kept(kind, rows))
            .collect();
        while let Some((from, take)) = take_from(&all, |amount| amount.rows, limit) {
            let from = all.iter().position(|kept| kept.kind == from.kind);
            all[from.expect("one of them")].amount.rows -= take;
        }
        all.iter()
            .map(|kept| kept.amount.rows)
            .collect::<Vec<_>>()
            .try_into()
            .expect("three")
    }

    #[test]
    fn a_flood_of_one_type_takes_nothing_from_the_others() {
        assert_eq!(left_of([5_000, 40, 7], 1_000), [953, 40, 7]);
        assert_eq!(left_of([500, 400, 100], 1_000), [500, 400, 100]);
    }

    #[test]
    fn types_that_are_alike_give_alike() {
        let [one, two, small] = left_of([5_000, 4_900, 20], 1_000);
        assert_eq!((one + two + small, small), (1_000, 20));
        assert!(one.abs_diff(two) < 100, "{one} and {two}");
    }
}
