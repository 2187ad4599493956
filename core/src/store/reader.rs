use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tokio::sync::mpsc;

use super::{StoreError, checkpoint::PATIENCE};
use crate::{
    events::vital,
    model::{EventId, Position},
};

/// More at once gain nothing on a small machine and hold up checkpoints.
const READERS: usize = 4;

/// Reads that may wait; whoever wants another one waits for room.
const QUEUE_LENGTH: usize = 256;

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

    /// The names in a column that an index begins with. Each is looked for in the index: rows
    /// are many, names few.
    pub(super) fn names_in(&self, table: &str, column: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self.sql().prepare_cached(&format!(
            "WITH RECURSIVE names (name) AS (
                SELECT min({column}) FROM {table}
                UNION ALL
                SELECT (SELECT min({column}) FROM {table} WHERE {column} > name)
                FROM names WHERE name IS NOT NULL)
             SELECT name FROM names WHERE name IS NOT NULL"
        ))?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
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

    /// Name of this server, for ever.
    pub fn node(&self) -> Result<String, StoreError> {
        let node = self.meta("node")?;
        node.ok_or_else(|| StoreError::Damaged("it does not say which server it is of".into()))
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

/// Somebody's read, and the way to tell what came of it.
pub(super) type Read = Box<dyn FnOnce(Result<&mut Connection, StoreError>) + Send>;

/// Starts the threads that read, each with a connection of its own; they end
/// when nobody can send any more. They are few and stay the same: a thread that
/// comes and goes leaves memory behind.
pub(super) fn start(
    database: &Path,
) -> std::io::Result<(mpsc::Sender<Read>, Vec<thread::JoinHandle<()>>)> {
    let (sender, queue) = mpsc::channel(QUEUE_LENGTH);
    let queue = Arc::new(Mutex::new(queue));
    let threads = (0..READERS).map(|number| {
        let (database, queue) = (database.to_owned(), queue.clone());
        thread::Builder::new()
            .name(format!("store-reader-{number}"))
            .spawn(move || {
                vital("a reader of the store", || run(&database, &queue));
            })
    });
    Ok((sender, threads.collect::<Result<_, _>>()?))
}

fn run(database: &Path, queue: &Mutex<mpsc::Receiver<Read>>) {
    let mut connection = None;
    // One waits for the next read, the others for their turn to wait.
    while let Some(read) = next(queue) {
        if connection.is_none() {
            match connect(database) {
                Ok(opened) => connection = Some(opened),
                Err(error) => {
                    read(Err(error));
                    continue;
                }
            }
        }
        let Some(opened) = &mut connection else {
            continue;
        };
        // Whoever waits is told by the end of his channel.
        if catch_unwind(AssertUnwindSafe(|| read(Ok(opened)))).is_err() {
            connection = None;
        }
    }
}

fn next(queue: &Mutex<mpsc::Receiver<Read>>) -> Option<Read> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.blocking_recv()
}

/// Runs `read` in one read transaction.
pub(super) fn in_transaction<T>(
    connection: Result<&mut Connection, StoreError>,
    read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection?.transaction()?;
    read(&Reader::new(&transaction))
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
