//! What is too much: whoever takes most room gives.

use rusqlite::params;

use super::{CHUNK_ROWS, Doomed, Retention, SIZE, Table, doomed};
use crate::{
    model::{EventId, EventType},
    store::{
        Reader, StoreError,
        kept::{Amount, Kept},
    },
};

#[derive(Clone, Copy)]
pub(super) struct Limits {
    rows: u64,
    bytes: u64,
}

impl Limits {
    pub(super) const fn of(table: Table, retention: &Retention) -> Self {
        let (rows, mib) = match table {
            Table::Events => (retention.events_max, retention.events_mib),
            Table::Logs => (retention.logs_max, retention.logs_mib),
        };
        Self {
            rows,
            bytes: mib << 20,
        }
    }
}

impl Reader<'_> {
    /// At most a chunk of what has to go; empty when there is nothing.
    ///
    /// Where there is too much, the type that takes most of it gives its oldest:
    /// a flood of one type does not push the others out.
    pub(super) fn too_much(&self, table: Table, limits: Limits) -> Result<Vec<Doomed>, StoreError> {
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
            "SELECT id, {column}, {SIZE} FROM {name}
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
