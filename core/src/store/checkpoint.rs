use std::{
    fs,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rusqlite::Connection;

use super::{StoreError, backup::with_ending};
use crate::events::vital;

/// From a commit to the checkpoint that covers it and its followers.
const PAUSE: Duration = Duration::from_millis(100);

/// Of events, after which it comes at once. A commit that meets a checkpoint waits
/// until the disk has taken it: so many small ones are better than few large ones.
const BYTES_MAX: usize = 256 << 10;

/// How long a connection waits for another one, normally and at the end.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const LAST_PATIENCE: Duration = Duration::from_millis(200);

/// Pages in the write-ahead log (64 MiB) after which it is begun anew.
const LOG_PAGES_MAX: i64 = 8_192;
/// What its file is cut to then, if a reader has kept it from that for a while.
pub(super) const LOG_BYTES_MAX: i64 = 64 << 20;

/// Moves what was committed from the write-ahead log into the database file, on
/// a thread and a connection of its own: no commit waits for it. When nothing is
/// committed it sleeps.
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    thread: thread::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    is_log_long: AtomicBool,
}

#[derive(Default)]
struct State {
    is_due: bool,
    /// Of events, committed since the last checkpoint.
    bytes: usize,
    is_ending: bool,
}

impl Checkpoints {
    pub(super) fn start(database: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(database)?;
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || {
                vital("checkpoints of the store", || run(&connection, &own));
            })
            .map_err(|error| StoreError::Failed(format!("no thread for checkpoints: {error}")))?;
        Ok(Self { shared, thread })
    }

    /// Said by the writer between two commits, with its own connection: so many
    /// bytes of events are new.
    pub(super) fn committed(&self, writer: &Connection, bytes: usize) {
        let mut state = self.shared.state();
        let (was_due, was_much) = (state.is_due, state.is_much());
        state.is_due = true;
        state.bytes += bytes;
        if !was_due || (state.is_much() && !was_much) {
            self.shared.changed.notify_one();
        }
        drop(state);
        if self.shared.is_log_long.swap(false, Ordering::Relaxed) {
            restart_log(writer);
        }
    }

    /// Leaves an empty log behind: the sign of an orderly end.
    pub(super) fn end(self, writer: &Connection) {
        self.shared.state().is_ending = true;
        self.shared.changed.notify_one();
        self.thread.join().unwrap_or_default();
        empty_log(writer);
    }
}

impl State {
    fn is_much(&self) -> bool {
        self.bytes >= BYTES_MAX
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a commit, then lets others join it. False at the end.
    fn wait_until_due(&self) -> bool {
        let idle = |state: &mut State| !state.is_due && !state.is_ending;
        let state = self.changed.wait_while(self.state(), idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let pausing = |state: &mut State| !state.is_ending && !state.is_much();
        let paused = self.changed.wait_timeout_while(state, PAUSE, pausing);
        let (mut state, _) = paused.unwrap_or_else(PoisonError::into_inner);
        (state.is_due, state.bytes) = (false, 0);
        !state.is_ending
    }
}

fn run(connection: &Connection, shared: &Shared) {
    let mut is_failing = false;
    while shared.wait_until_due() {
        match checkpoint(connection, "PASSIVE") {
            Ok(log) => {
                let is_long = log.is_some_and(|log| log.pages > LOG_PAGES_MAX && log.is_moved);
                shared.is_log_long.store(is_long, Ordering::Relaxed);
                is_failing = false;
            }
            // Nothing is lost: the log keeps it, and the next commit asks again.
            Err(error) if !is_failing => {
                tracing::warn!(%error, "the write-ahead log has to wait for its checkpoint");
                is_failing = true;
            }
            Err(_) => {}
        }
    }
}

/// Takes all of the log into the file, if nobody is in the way.
pub(super) fn empty_log(connection: &Connection) {
    log_outcome(patiently(connection, LAST_PATIENCE, "TRUNCATE"));
}

/// While commits follow each other closely, only the writer knows a moment at
/// which the log can begin anew: it checkpoints the little that came since the
/// last checkpoint, which has moved all the rest. It never waits: where a reader is in
/// the way, the log grows until the next try.
fn restart_log(writer: &Connection) {
    log_outcome(patiently(writer, Duration::ZERO, "RESTART"));
    if let Err(error) = writer.busy_timeout(PATIENCE) {
        tracing::warn!(%error, "a write may fail while somebody else writes");
    }
}

fn patiently(
    connection: &Connection,
    patience: Duration,
    mode: &str,
) -> Result<Option<Log>, rusqlite::Error> {
    connection.busy_timeout(patience)?;
    checkpoint(connection, mode)
}

/// What a checkpoint has found.
struct Log {
    pages: i64,
    /// All of them are in the database file as well.
    is_moved: bool,
}

/// `None` where somebody is in the way.
fn checkpoint(connection: &Connection, mode: &str) -> Result<Option<Log>, rusqlite::Error> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.query_row(&sql, [], |row| {
        let is_busy: bool = row.get(0)?;
        let (pages, moved): (i64, i64) = (row.get(1)?, row.get(2)?);
        let is_moved = pages == moved;
        Ok((!is_busy).then_some(Log { pages, is_moved }))
    })
}

/// It comes again by itself, at the next start at the latest.
fn log_outcome(outcome: Result<Option<Log>, rusqlite::Error>) {
    match outcome {
        Ok(Some(_)) => {}
        Ok(None) => tracing::debug!("a reader keeps the write-ahead log as it is"),
        Err(error) => tracing::debug!(%error, "the write-ahead log stays as it is"),
    }
}

/// Whether the last server that had this database open left it in a hurry.
pub(super) fn was_left_behind(database: &Path) -> bool {
    fs::metadata(with_ending(database, "-wal")).is_ok_and(|log| log.len() > 0)
}
