//! The least that SQLite can do for a journal: its own rows, read and written
//! again by loops that do nothing else.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use rusqlite::{Connection, OpenFlags, params};

/// Rows of one transaction when they are written.
const BATCH: usize = 75;
/// Rows that are written at most.
const WRITTEN_MAX: usize = 200_000;

/// A journal that a server has written.
pub struct Journal {
    connection: Connection,
}

impl Journal {
    /// Of the server that has its data here; it may go on.
    pub fn open(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("tiny-forge.db");
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| format!("{}", path.display()))?;
        Ok(Self { connection })
    }

    /// Time to read the newest rows, in id order.
    pub fn read_newest(&self, count: u32) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut statement = self.connection.prepare_cached(
            "SELECT id, frame FROM events WHERE id > (SELECT max(id) FROM events) - ?1 ORDER BY id",
        )?;
        let mut rows = statement.query([count])?;
        let (mut read, mut bytes) = (0, Vec::with_capacity(1 << 20));
        while let Some(row) = rows.next()? {
            bytes.extend_from_slice(row.get_ref(1)?.as_bytes()?);
            if bytes.len() > 1 << 19 {
                bytes.clear();
            }
            read += 1;
        }
        anyhow::ensure!(read == count, "{read} of {count} rows are there");
        Ok(began.elapsed())
    }

    /// Time to write a row again, into a table as its own, in transactions that
    /// are not synced.
    pub fn write_again(&self, work: &Path) -> anyhow::Result<Duration> {
        let rows = self.rows()?;
        let directory = tempfile::tempdir_in(work)?;
        let mut copy = Connection::open(directory.path().join("copy.db"))?;
        copy.pragma_update(None, "page_size", 8192)?;
        copy.pragma_update(None, "journal_mode", "WAL")?;
        copy.pragma_update(None, "synchronous", "OFF")?;
        copy.execute_batch(&self.table()?)?;
        let began = Instant::now();
        for batch in rows.chunks(BATCH) {
            let transaction = copy.transaction()?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO events (id, type, severity, time, project, stage, instance, deploy, frame)
                 VALUES (?1, ?2, ?3, ?4, NULL, NULL, NULL, NULL, ?5)",
            )?;
            for Row {
                id,
                kind,
                severity,
                time,
                frame,
            } in batch
            {
                insert.execute(params![id, kind, severity, time, frame])?;
            }
            drop(insert);
            transaction.commit()?;
        }
        Ok(began.elapsed() / u32::try_from(rows.len().max(1))?)
    }

    fn rows(&self) -> anyhow::Result<Vec<Row>> {
        let mut statement = self
            .connection
            .prepare("SELECT id, type, severity, time, frame FROM events ORDER BY id LIMIT ?1")?;
        let rows = statement.query_map([WRITTEN_MAX], |row| {
            Ok(Row {
                id: row.get(0)?,
                kind: row.get(1)?,
                severity: row.get(2)?,
                time: row.get(3)?,
                frame: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The statement that makes it.
    fn table(&self) -> anyhow::Result<String> {
        let sql = "SELECT sql FROM sqlite_schema WHERE name = 'events'";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }
}

struct Row {
    id: i64,
    kind: String,
    severity: i64,
    time: i64,
    frame: String,
}
