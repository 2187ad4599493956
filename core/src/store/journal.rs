use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, ToSql, params};

use super::{
    Reader, StoreError, Tx,
    select::{Columns, Query, select_sql},
};
use crate::{
    events::{Chunks, ChunksBuilder, Filter, Frame, FrameParts, Segment, SegmentBuilder},
    model::{DeployId, EventId, EventType, Severity, Timestamp},
};

/// Ids that one page may scan, whatever the filter lets through: keeps read
/// transactions short, so that checkpoints go on.
pub(super) const SCAN_IDS_MAX: i64 = 50_000;
/// Pages of as many ids in which what waits for a pipeline is counted.
const PAGES_COUNTED: usize = 4;

/// Of one page, where nobody says otherwise.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// Which part of the journal to read.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Events with a greater id.
    pub after: EventId,
    /// Not beyond it; `None` reads up to the head.
    pub until: Option<EventId>,
    /// Rows at most.
    pub limit: usize,
    /// Of JSON, after which no further row is taken.
    pub bytes: usize,
}

impl PageRequest {
    /// Up to the head.
    pub fn new(after: EventId, limit: usize) -> Self {
        Self {
            after,
            until: None,
            limit,
            bytes: PAGE_BYTES_MAX,
        }
    }
}

/// Matching events in id order.
#[derive(Debug)]
pub struct JournalPage {
    /// What matches; `None` where nothing does.
    pub segment: Option<Arc<Segment>>,
    /// Everything up to this id has been looked at: the next `after`.
    pub scanned_to: EventId,
    /// It ended because of the limits: there may be more in what it has not looked at.
    pub is_full: bool,
    pub head: EventId,
}

impl JournalPage {
    pub fn frames(&self) -> impl Iterator<Item = Frame> {
        frames_of(self.segment.as_ref())
    }
}

impl Tx<'_> {
    pub(super) fn append(&self, parts: &FrameParts<'_>, json: &str) -> Result<(), StoreError> {
        let FrameParts { project, stage, .. } = *parts;
        let deploy = parts.deploy.map(|deploy| deploy.0);
        let severity = parts.severity as i64;
        let time = parts.time.unix_ms();
        if parts.kind == EventType::DeployLog {
            self.sql()
                .prepare_cached(
                    "INSERT INTO deploy_logs (id, deploy, severity, time, project, stage, instance, frame)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    parts.id.0, deploy, severity, time, project, stage, parts.instance, json
                ])?;
        } else {
            self.sql()
                .prepare_cached(
                    "INSERT INTO events (id, type, severity, time, project, stage, instance, deploy, frame)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    parts.id.0,
                    parts.kind.as_str(),
                    severity,
                    time,
                    project,
                    stage,
                    parts.instance,
                    deploy,
                    json
                ])?;
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// When the newest of the events happened that are older than this.
    pub fn newest_time_before(&self, time: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT time FROM events WHERE time < ?1 ORDER BY id DESC LIMIT 1")?;
        let found = statement.query_row([time.unix_ms()], |row| row.get(0));
        Ok(found.optional()?.map(Timestamp::from_unix_ms))
    }

    /// The next page of matching events, oldest first.
    pub fn journal_page(
        &self,
        filter: &Filter,
        request: &PageRequest,
    ) -> Result<JournalPage, StoreError> {
        let position = self.head()?;
        let range = self.range(filter, request, position.id)?;
        let query = Query {
            columns: Columns::All,
            filter,
            range,
            limit: request.limit,
            bytes: request.bytes,
            descending: false,
        };
        let (segment, is_full) = self.select(&query, &position.journal)?;
        let scanned_to = match &segment {
            Some(full) if is_full => full.chunks().last(),
            _ => range.1,
        };
        Ok(JournalPage {
            segment,
            scanned_to,
            is_full,
            head: position.id,
        })
    }

    /// How many matching events come after `after`, counted up to `limit`, and as far as a
    /// few pages look.
    pub fn count_after(
        &self,
        filter: &Filter,
        after: EventId,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let head = self.head()?.id;
        let (mut count, mut after) = (0, after);
        for _ in 0..PAGES_COUNTED {
            let range = self.range(filter, &PageRequest::new(after, limit), head)?;
            let query = Query {
                columns: Columns::Id,
                filter,
                range,
                limit: limit - count,
                bytes: usize::MAX,
                descending: false,
            };
            let is_full = self.each_row(&query, |_| {
                count += 1;
                Ok(0)
            })?;
            after = range.1;
            if is_full || after >= head {
                break;
            }
        }
        Ok(count)
    }

    /// After which event and up to which one page looks. It begins with what is there:
    /// ids that retention has passed, or that are of another table, are no work.
    fn range(
        &self,
        filter: &Filter,
        request: &PageRequest,
        head: EventId,
    ) -> Result<(EventId, EventId), StoreError> {
        let until = request.until.unwrap_or(head).min(head);
        let first = self.first_after(filter, request.after)?;
        let begin = first.map_or(until, |first| EventId(first.0 - 1).min(until));
        let last = EventId(until.0.min(begin.0.saturating_add(SCAN_IDS_MAX)));
        Ok((begin.max(request.after), last))
    }

    /// The first event after this one that a filter could be meant to match.
    fn first_after(&self, filter: &Filter, after: EventId) -> Result<Option<EventId>, StoreError> {
        let tables = [
            ("events", filter.wants_events()),
            ("deploy_logs", filter.wants_logs()),
        ];
        let mut first = None;
        for (table, _) in tables.into_iter().filter(|(_, is_wanted)| *is_wanted) {
            let sql = format!("SELECT min(id) FROM {table} WHERE id > ?1");
            let mut statement = self.sql().prepare_cached(&sql)?;
            let found: Option<i64> = statement.query_row([after.0], |row| row.get(0))?;
            first = first.into_iter().chain(found.map(EventId)).min();
        }
        Ok(first)
    }

    /// The last event before this time; times are taken to grow with ids. Log
    /// lines do not count.
    pub fn last_before(&self, time: Timestamp) -> Result<EventId, StoreError> {
        let mut at_or_after = self
            .sql()
            .prepare_cached("SELECT id, time FROM events WHERE id >= ?1 ORDER BY id LIMIT 1")?;
        let (mut low, mut high) = (0, self.head()?.id.0);
        while low < high {
            let middle = low + (high - low + 1) / 2;
            let found = at_or_after
                .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match found {
                Some::<(i64, i64)>((id, at)) if at < time.unix_ms() => low = id.min(high),
                _ => high = middle - 1,
            }
        }
        Ok(EventId(low))
    }

    /// The same, ready to be sent and nothing else: half the work.
    pub fn wire_page(
        &self,
        filter: &Filter,
        request: &PageRequest,
    ) -> Result<(Option<Chunks>, EventId), StoreError> {
        let position = self.head()?;
        let range = self.range(filter, request, position.id)?;
        let mut found = ChunksBuilder::new(&position.journal);
        let query = Query {
            columns: Columns::Wire,
            filter,
            range,
            limit: request.limit,
            bytes: request.bytes,
            descending: false,
        };
        let is_full = self.each_row(&query, |row| {
            let json = text(row, 1)?.as_bytes();
            found.push(EventId(row.get(0)?), |bytes| bytes.extend_from_slice(json));
            Ok(json.len())
        })?;
        let chunks = found.seal();
        let scanned_to = match &chunks {
            Some(full) if is_full => full.last(),
            _ => range.1,
        };
        Ok((chunks, scanned_to))
    }

    /// The newest matching events with an id below `before`, newest first, as far as one
    /// page looks; and the event after which everything was looked at, if it is not full.
    pub fn journal_before(
        &self,
        filter: &Filter,
        before: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<Frame>, Option<EventId>), StoreError> {
        let position = self.head()?;
        let last = before.map_or(position.id, |before| {
            EventId(before.0.saturating_sub(1)).min(position.id)
        });
        let first = EventId(last.0.saturating_sub(SCAN_IDS_MAX).max(0));
        let query = Query {
            columns: Columns::All,
            filter,
            range: (first, last),
            limit,
            bytes: PAGE_BYTES_MAX,
            descending: true,
        };
        let (found, is_full) = self.select(&query, &position.journal)?;
        let frames = frames_of(found.as_ref()).collect();
        if is_full {
            return Ok((frames, None));
        }
        let oldest = self.first_after(filter, EventId(0))?;
        let is_all = oldest.is_none_or(|oldest| oldest > first);
        Ok((frames, Some(if is_all { EventId(0) } else { first })))
    }

    /// One event by its id.
    pub fn event(&self, id: EventId) -> Result<Option<Frame>, StoreError> {
        let journal = self.journal_name()?;
        let filter = Filter::everything();
        let query = Query {
            columns: Columns::All,
            filter: &filter,
            range: (EventId(id.0.saturating_sub(1)), id),
            limit: 1,
            bytes: usize::MAX,
            descending: false,
        };
        let (found, _) = self.select(&query, &journal)?;
        Ok(frames_of(found.as_ref()).next())
    }

    /// What enrichers added to an event: plugin name and JSON object.
    pub fn annotations(&self, id: EventId) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT plugin, json FROM annotations WHERE event = ?1 ORDER BY plugin",
        )?;
        let rows = statement.query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn select(
        &self,
        query: &Query<'_>,
        journal: &str,
    ) -> Result<(Option<Arc<Segment>>, bool), StoreError> {
        let mut found = SegmentBuilder::new(journal);
        let is_full = self.each_row(query, |row| {
            let json = text(row, 8)?;
            found.push_stored(&parts_of(row)?, json);
            Ok(json.len())
        })?;
        Ok((found.seal(), is_full))
    }

    /// `each` says how large a row was. Whether there was an end because of the limits, and
    /// so may be more.
    fn each_row(
        &self,
        query: &Query<'_>,
        mut each: impl FnMut(&Row<'_>) -> Result<usize, StoreError>,
    ) -> Result<bool, StoreError> {
        let (sql, values) = select_sql(query);
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let (after, last) = query.range;
        let mut bound: Vec<&dyn ToSql> = vec![&after.0, &last.0, &limit];
        bound.extend(values.iter().map(|value| value as &dyn ToSql));
        let mut statement = self.sql().prepare_cached(&sql)?;
        let mut rows = statement.query(bound.as_slice())?;
        let (mut count, mut bytes) = (0, 0);
        while let Some(row) = rows.next()? {
            bytes += each(row)?;
            count += 1;
            if bytes >= query.bytes {
                return Ok(true);
            }
        }
        Ok(count == query.limit)
    }
}

/// Borrowed from the row, not copied.
fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, StoreError> {
    let value = row.get_ref(column)?;
    Ok(value.as_str().map_err(rusqlite::Error::from)?)
}

fn name<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>, StoreError> {
    let value = row.get_ref(column)?;
    Ok(value.as_str_or_null().map_err(rusqlite::Error::from)?)
}

fn frames_of(segment: Option<&Arc<Segment>>) -> impl Iterator<Item = Frame> {
    segment
        .into_iter()
        .flat_map(|segment| segment.frames_from(0))
}

fn parts_of<'r>(row: &'r Row<'_>) -> Result<FrameParts<'r>, StoreError> {
    let kind = text(row, 1)?;
    let severity: usize = row.get(2)?;
    Ok(FrameParts {
        id: EventId(row.get(0)?),
        kind: EventType::parse(kind)
            .ok_or_else(|| StoreError::Damaged(format!("event type `{kind}` is not known")))?,
        severity: *Severity::ALL
            .get(severity)
            .ok_or_else(|| StoreError::Damaged(format!("severity {severity} is not known")))?,
        time: Timestamp::from_unix_ms(row.get(3)?),
        project: name(row, 4)?,
        stage: name(row, 5)?,
        instance: name(row, 6)?,
        deploy: row.get::<_, Option<i64>>(7)?.map(DeployId),
    })
}
