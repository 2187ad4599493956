use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tokio::sync::Semaphore;

use super::{StoreError, checkpoint::PATIENCE};
use crate::model::{EventId, Position};

/// More readers at once gain nothing on a small machine and hold up checkpoints.
const READERS_MAX: usize = 4;

/// Of one connection.
const CACHE_KIB: i64 = 256;

/// A view of the database at one moment: all of its answers belong together.
pub struct Reader<'c> {
    sql: &'c Connection,
}

impl<'c> Reader<'c> {
    pub(super) fn new(sql: &'c Connection) -> Self {
        Self { sql }
    }

    /// For the typed statements in this folder.
    pub(super) fn sql(&self) -> &'c Connection {
        self.sql
    }

    /// The newest event that this view contains: the `as_of` of a snapshot.
    pub fn head(&self) -> Result<Position, StoreError> {
        Ok(Position {
            journal: self.journal_name()?,
            id: self.meta_id("head")?,
        })
    }

    pub fn journal_name(&self) -> Result<String, StoreError> {
        self.meta("journal")?
            .ok_or_else(|| StoreError::Damaged("journal has no name".into()))
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    pub(super) fn meta_id(&self, key: &str) -> Result<EventId, StoreError> {
        let text = self.meta(key)?.unwrap_or_else(|| "0".to_owned());
        text.parse()
            .map(EventId)
            .map_err(|_| StoreError::Damaged(format!("meta `{key}` is no number")))
    }
}

/// Connections for reading, opened as they are needed and kept.
pub(super) struct ReaderPool {
    path: PathBuf,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl ReaderPool {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            permits: Semaphore::new(READERS_MAX),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Waits for a free place; at most [`READERS_MAX`] read at once.
    pub(super) async fn permit(&self) -> Result<tokio::sync::SemaphorePermit<'_>, StoreError> {
        self.permits.acquire().await.map_err(|_| StoreError::Closed)
    }

    /// Runs `read` in one read transaction. Blocks: not for async threads.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let transaction = connection.transaction()?;
        let result = read(&Reader::new(&transaction));
        drop(transaction);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        result
    }
}

/// A connection that cannot write, also where no server runs.
pub(super) fn connect(database: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Replays pass over each page once; what comes back is in the system's cache.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}
