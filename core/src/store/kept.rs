use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::params;

use super::{Reader, StoreError, Tx};
use crate::{
    events::Filter,
    model::{EventId, EventType},
};

/// What the journal holds of one type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    pub kind: EventType,
    pub amount: Amount,
    /// Up to this id some may have been deleted; none after it.
    pub floor: EventId,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub rows: u64,
    /// Of the events' JSON, with what enrichers added; the file takes somewhat more.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes as u64;
    }
}

/// What one transaction appends, by type. Small and copied, so that a job that
/// fails is taken back by putting the older copy in its place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally([Amount; EventType::ALL.len()]);

impl Tally {
    pub(super) fn add(&mut self, kind: EventType, bytes: usize) {
        self.0[kind as usize].add(bytes);
    }
}

/// The floors of all types, known without a read. Each is raised before events are
/// deleted: for a moment it may be ahead of the journal.
#[derive(Debug, Default)]
pub(super) struct Floors(Mutex<[EventId; EventType::ALL.len()]>);

impl Floors {
    /// What cannot be read is no reason not to start: they are told, not relied on.
    pub(super) fn load(reader: &Reader<'_>) -> Self {
        let floors = Self::default();
        match reader.kept() {
            Ok(kept) => kept.iter().for_each(|it| floors.raise(it.kind, it.floor)),
            Err(error) => tracing::warn!(%error, "how far back events go is not known"),
        }
        floors
    }

    pub(super) fn raise(&self, kind: EventType, to: EventId) {
        let floor = &mut self.all()[kind as usize];
        *floor = (*floor).max(to);
    }

    pub(super) fn of(&self, filter: &Filter) -> EventId {
        let all = EventType::ALL.into_iter().zip(*self.all());
        let wanted = all.filter(|(kind, _)| wants(filter, *kind));
        wanted.map(|(_, floor)| floor).max().unwrap_or_default()
    }

    fn all(&self) -> MutexGuard<'_, [EventId; EventType::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tx<'_> {
    /// Once per type and commit, not once per event.
    pub(super) fn count_appended(&self, tally: &Tally) -> Result<(), StoreError> {
        let appended = EventType::ALL.into_iter().zip(tally.0);
        for (kind, Amount { rows, bytes }) in appended.filter(|(_, amount)| amount.rows > 0) {
            self.sql()
                .prepare_cached(
                    "INSERT INTO kept (type, rows, bytes, floor) VALUES (?1, ?2, ?3, 0)
                     ON CONFLICT (type) DO UPDATE
                     SET rows = rows + excluded.rows, bytes = bytes + excluded.bytes",
                )?
                .execute(params![kind.as_str(), rows, bytes])?;
        }
        Ok(())
    }

    /// Events of this type have become so much larger than they were.
    pub(super) fn count_grown(&self, kind: EventType, bytes: i64) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached("UPDATE kept SET bytes = max(bytes + ?2, 0) WHERE type = ?1")?
            .execute(params![kind.as_str(), bytes])?;
        Ok(())
    }

    /// `newest` is the newest of what was deleted.
    pub(super) fn count_deleted(
        &self,
        kind: EventType,
        amount: Amount,
        newest: EventId,
    ) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(
                "UPDATE kept SET rows = rows - ?2, bytes = max(bytes - ?3, 0), floor = max(floor, ?4)
                 WHERE type = ?1",
            )?
            .execute(params![kind.as_str(), amount.rows, amount.bytes, newest.0])?;
        Ok(())
    }
}

impl Reader<'_> {
    /// What is kept of each type of which there ever was an event.
    pub fn kept(&self) -> Result<Vec<Kept>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT type, rows, bytes, floor FROM kept")?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            all.push(Kept {
                kind: EventType::parse(&name).ok_or_else(|| {
                    StoreError::Damaged(format!("event type `{name}` is not known"))
                })?,
                amount: Amount {
                    rows: row.get(1)?,
                    bytes: row.get(2)?,
                },
                floor: EventId(row.get(3)?),
            });
        }
        Ok(all)
    }

    /// Up to this id something that `filter` wants may have been deleted.
    pub fn floor(&self, filter: &Filter) -> Result<EventId, StoreError> {
        let kept = self.kept()?;
        let wanted = kept.iter().filter(|kept| wants(filter, kept.kind));
        Ok(wanted.map(|kept| kept.floor).max().unwrap_or_default())
    }
}

fn wants(filter: &Filter, kind: EventType) -> bool {
    match kind {
        EventType::DeployLog => filter.wants_logs(),
        kind => filter.types.is_empty() || filter.types.contains(&kind),
    }
}

#[cfg(test)]
mod tests {
    use super::{Amount, EventType, Tally};

    #[test]
    fn each_type_is_counted_in_a_place_of_its_own() {
        let mut tally = Tally::default();
        for (bytes, kind) in EventType::ALL.into_iter().enumerate() {
            tally.add(kind, bytes);
        }
        for (bytes, amount) in (0..).zip(tally.0) {
            assert_eq!(amount, Amount { rows: 1, bytes });
        }
    }
}
