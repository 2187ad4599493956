//! What is too old: each type has its days.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{OptionalExtension, params};

use super::{CHUNK_ROWS, Doomed, SIZE, Table, doomed};
use crate::{
    model::{EventId, EventType, Timestamp},
    store::{Reader, StoreError, journal::SCAN_IDS_MAX},
};

const DAY_MS: i64 = 86_400_000;

/// How many days events of each type are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days([u32; EventType::ALL.len()]);

impl Days {
    /// Log lines are kept for `logs` days, everything else for `events`.
    pub fn new(events: u32, logs: u32) -> Self {
        Self(EventType::ALL.map(|kind| match kind {
            EventType::DeployLog => logs,
            _ => events,
        }))
    }

    pub fn set(&mut self, kind: EventType, days: u32) {
        self.0[kind as usize] = days;
    }

    pub fn of(&self, kind: EventType) -> u32 {
        self.0[kind as usize]
    }
}

/// Types of one table that are kept for equally long: one search is enough for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Aged {
    table: Table,
    kinds: Vec<EventType>,
    days: u32,
}

impl Aged {
    pub(super) fn all_of(table: Table, days: &Days) -> Vec<Self> {
        let mut by_days: BTreeMap<u32, Vec<EventType>> = BTreeMap::new();
        for kind in EventType::ALL {
            if table.holds(kind) {
                by_days.entry(days.of(kind)).or_default().push(kind);
            }
        }
        let groups = by_days.into_iter();
        groups
            .map(|(days, kinds)| Self { table, kinds, days })
            .collect()
    }

    /// A condition on rows of the table.
    fn sql(&self) -> String {
        let names = self.kinds.iter().map(|kind| format!("'{}'", kind.as_str()));
        let names = names.collect::<Vec<_>>().join(", ");
        format!("{} IN ({names})", self.table.kind())
    }
}

/// Up to which id there is nothing left: rare types are not searched for among all others
/// again and again.
#[derive(Default)]
pub(super) struct Begins(HashMap<Aged, EventId>);

impl Begins {
    pub(super) fn of(&self, aged: &Aged) -> EventId {
        self.0.get(aged).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, aged: &Aged, begin: EventId) {
        self.0.insert(aged.clone(), begin);
    }
}

/// What a look at one page of the journal has found.
pub(super) struct Looked {
    pub doomed: Vec<Doomed>,
    /// Up to where nothing is left.
    pub begin: EventId,
    /// There is nothing more to be found.
    pub is_over: bool,
}

impl Reader<'_> {
    /// At most a chunk of what has to go, of as many ids as a page looks at.
    pub(super) fn too_old(&self, aged: &Aged, begin: EventId) -> Result<Looked, StoreError> {
        let name = aged.table.name();
        let mut ends = self.sql().prepare_cached(&format!(
            "SELECT ifnull((SELECT min(id) - 1 FROM {name} WHERE id > ?1), ?1),
                    ifnull((SELECT max(id) FROM {name}), 0)"
        ))?;
        let (begin, newest) = ends.query_row([begin.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let begin = EventId(begin);
        let Some(first) = self.first(aged, begin)? else {
            let end = page_end(begin);
            return Ok(Looked {
                doomed: Vec::new(),
                begin: begin.max(EventId(end.min(newest))),
                is_over: end >= newest,
            });
        };
        let begin = EventId(first.0 - 1);
        let now = Timestamp::now().unix_ms();
        let oldest = now - i64::from(aged.days) * DAY_MS;
        let doomed = if self.is_young(aged, begin, oldest, now)? {
            Vec::new()
        } else {
            self.old(aged, begin, oldest, now)?
        };
        Ok(Looked {
            is_over: doomed.is_empty(),
            doomed,
            begin,
        })
    }

    fn first(&self, aged: &Aged, after: EventId) -> Result<Option<EventId>, StoreError> {
        let (name, kinds) = (aged.table.name(), aged.sql());
        let mut statement = self.sql().prepare_cached(&format!(
            "SELECT id FROM {name} WHERE id > ?1 AND id <= ?2 AND {kinds} ORDER BY id LIMIT 1"
        ))?;
        let first = statement.query_row([after.0, page_end(after)], |row| row.get(0));
        Ok(first.optional()?.map(EventId))
    }

    /// What stands first, but for what says the future, is not old yet.
    fn is_young(
        &self,
        aged: &Aged,
        begin: EventId,
        oldest: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        let (name, kinds) = (aged.table.name(), aged.sql());
        let mut statement = self.sql().prepare_cached(&format!(
            "SELECT time FROM {name} WHERE id > ?1 AND id <= ?3 AND {kinds} AND time <= ?2
             ORDER BY id LIMIT 1"
        ))?;
        let first = statement.query_row([begin.0, now, page_end(begin)], |row| row.get(0));
        Ok(first.optional()?.is_none_or(|first: i64| first >= oldest))
    }

    /// Among the first rows, everything up to the last one that is too old: times come
    /// from the sources of events and are not quite in order. But not beyond one that is
    /// younger by a day: what is old behind it comes from a clock that was wrong. What says
    /// the future comes from one, too, and goes with what is old behind it.
    fn old(
        &self,
        aged: &Aged,
        begin: EventId,
        oldest: i64,
        now: i64,
    ) -> Result<Vec<Doomed>, StoreError> {
        let (name, kind, kinds) = (aged.table.name(), aged.table.kind(), aged.sql());
        let mut statement = self.sql().prepare_cached(&format!(
            "WITH first AS (SELECT id, time FROM {name}
                            WHERE id > ?5 AND id <= ?6 AND {kinds} AND time <= ?4
                            ORDER BY id LIMIT ?1),
                  young AS (SELECT min(id) AS id FROM first WHERE time >= ?3)
             SELECT id, {kind}, {SIZE} FROM {name}
             WHERE id > ?5 AND {kinds} AND id <= (
                SELECT max(id) FROM first
                WHERE time < ?2 AND id < ifnull((SELECT id FROM young), id + 1))
             ORDER BY id LIMIT ?1"
        ))?;
        let young = oldest + DAY_MS;
        let end = page_end(begin);
        doomed(statement.query(params![CHUNK_ROWS, oldest, young, now, begin.0, end])?)
    }
}

fn page_end(after: EventId) -> i64 {
    after.0.saturating_add(SCAN_IDS_MAX)
}
