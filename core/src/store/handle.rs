use std::{path::Path, sync::Arc, thread, time::Duration};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    Reader, StoreError, Tx,
    checkpoint::{self, Checkpoints},
    damage::Health,
    history::History,
    kept::Floors,
    migrate,
    reader::{self, Read},
    witness::Witness,
    writer::{Job, QUEUE_LENGTH, Sequence, Writer},
};
use crate::{
    events::{Filter, Log, Room, vital},
    failpoint::{self, Failpoint},
    model::EventId,
};

/// The database: cheap to clone, closed when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    queue: mpsc::Sender<Box<dyn Job>>,
    readers: mpsc::Sender<Read>,
    health: Arc<Health>,
    floors: Arc<Floors>,
}

/// Whoever cannot do without a write tries again after this time, where the disk was full.
pub const RETRY_STORE: Duration = Duration::from_millis(500);

/// The promise that a write will be committed, or an error told.
pub struct Receipt<T>(oneshot::Receiver<Result<T, StoreError>>);

impl<T> Receipt<T> {
    /// Waits until the write is on disk and has been fanned out.
    pub async fn committed(self) -> Result<T, StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Closed))
    }

    /// For a write that has been answered already.
    fn outcome(mut self) -> Result<T, StoreError> {
        self.0.try_recv().unwrap_or(Err(StoreError::Closed))
    }
}

/// The writer, and with it the readers: they end after everything that was queued.
pub struct StoreThreads(thread::JoinHandle<()>);

impl StoreThreads {
    /// Blocks until the last handle is gone and its writes are on disk.
    pub fn join(self) {
        self.0.join().unwrap_or_default();
    }
}

impl Store {
    /// Opens or makes the database, brings its schema up to date, finds out
    /// whether history was lost, and starts the threads: the writer's, which
    /// hands committed events to `log`, and the readers'.
    pub fn open(database: &Path, log: &Arc<Log>) -> Result<(Self, StoreThreads), StoreError> {
        let was_left_behind = checkpoint::was_left_behind(database);
        let connection = connect(database)?;
        let witness = Witness::open(database);
        let history = History::examine(&Reader::new(&connection), witness.seen().as_ref())?;
        let is_doubtful =
            was_left_behind || history != History::GoesOn || Health::was_bad(&connection)?;
        let floors = Floors::load(&Reader::new(&connection));
        let mut sequence = Sequence::load(&connection)?;
        history.begin_anew(&mut sequence)?;
        log.start(&sequence.journal, sequence.head);
        let mut writer = Writer {
            connection,
            sequence,
            log: log.clone(),
            checkpoints: Checkpoints::start(database)?,
            witness,
            room: Room::default(),
            gone: None,
        };
        writer.record(history)?;
        let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
        let (readers, threads) = reader::start(database).map_err(|error| no_thread(&error))?;
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                vital("the store's writer", || writer.run(receiver, threads));
            })
            .map_err(|error| no_thread(&error))?;
        let store = Self {
            queue: sender,
            readers,
            health: Arc::new(Health::new(database, is_doubtful)),
            floors: Arc::new(floors),
        };
        Ok((store, StoreThreads(thread)))
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn floors(&self) -> &Floors {
        &self.floors
    }

    /// Up to this id something that `filter` wants may have been deleted. At once, without
    /// a transaction: a page says it of the moment at which it was read.
    pub fn floor(&self, filter: &Filter) -> EventId {
        self.floors.of(filter)
    }

    /// Runs `change` in a transaction and waits until it is on disk. An error
    /// from `change` undoes it alone.
    pub async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, receipt) = TypedJob::with_receipt(change);
        self.queue.send(job).await.map_err(|_| StoreError::Closed)?;
        let written = receipt.committed().await;
        failpoint::reached_by_deploy(Failpoint::DeployWritten);
        written
    }

    /// The same without waiting; [`StoreError::Busy`] when the queue is full.
    pub fn enqueue<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Receipt<T>, StoreError> {
        let (job, receipt) = TypedJob::with_receipt(change);
        match self.queue.try_send(job) {
            Ok(()) => Ok(receipt),
            Err(mpsc::error::TrySendError::Full(_)) => Err(StoreError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreError::Closed),
        }
    }

    /// Runs `read` in one read transaction, off the async threads.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Read = Box::new(move |connection| {
            // Whoever asked may have gone away.
            let _ = reply.send(reader::in_transaction(connection, read));
        });
        let queued = self.readers.send(job).await;
        queued.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Panicked))
    }
}

fn no_thread(error: &std::io::Error) -> StoreError {
    StoreError::Failed(format!("no thread for the store: {error}"))
}

/// The connection of the writer.
pub(super) fn connect(database: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(database)?;
    connection.busy_timeout(checkpoint::PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(128);
    migrate::migrate(&mut connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", checkpoint::LOG_BYTES_MAX)?;
    Ok(connection)
}

impl Writer {
    /// Before the thread starts: so nobody is told anything of a history that
    /// has ended.
    fn record(&mut self, history: History) -> Result<(), StoreError> {
        let journal = self.sequence.journal.clone();
        if history != History::GoesOn {
            // Known of before the database is, or it would look like a history of its own.
            self.witness.see_for_certain(&self.sequence.position());
        }
        let (job, receipt) = TypedJob::with_receipt(move |tx| history.record(tx, &journal));
        self.commit(vec![job]);
        receipt.outcome()?;
        self.witness.see(&self.sequence.position());
        Ok(())
    }
}

struct TypedJob<T, F> {
    change: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> TypedJob<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
{
    fn with_receipt(change: F) -> (Box<dyn Job>, Receipt<T>) {
        let (reply, receipt) = oneshot::channel();
        (
            Box::new(Self {
                change: Some(change),
                value: None,
                reply,
            }),
            Receipt(receipt),
        )
    }
}

impl<T, F> Job for TypedJob<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let change = self.change.take().ok_or(StoreError::Panicked)?;
        self.value = Some(change(tx)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let answer = outcome.and_then(|()| value.ok_or(StoreError::Panicked));
        // Nobody may be waiting: an enqueued write is often not awaited.
        if let Err(Err(error)) = reply.send(answer) {
            tracing::warn!(%error, "a write that nobody waits for failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, types::Value};

    use super::{checkpoint, connect};

    fn setting(connection: &Connection, name: &str) -> Value {
        let value = connection.pragma_query_value(None, name, |row| row.get(0));
        value.expect(name)
    }

    #[test]
    fn a_commit_is_on_disk_when_it_returns_and_leaves_checkpoints_to_others() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let database = dir.path().join("tiny-forge.db");
        for _ in ["new", "opened again"] {
            let connection = connect(&database).expect("a database");
            let setting = |name| setting(&connection, name);
            const FULL: i64 = 2;
            const INCREMENTAL: i64 = 2;
            assert_eq!(setting("journal_mode"), Value::Text("wal".into()));
            assert_eq!(setting("synchronous"), Value::Integer(FULL));
            assert_eq!(setting("wal_autocheckpoint"), Value::Integer(0));
            assert_eq!(setting("page_size"), Value::Integer(8_192));
            assert_eq!(setting("auto_vacuum"), Value::Integer(INCREMENTAL));
            assert_eq!(setting("foreign_keys"), Value::Integer(1));
            let limit = Value::Integer(checkpoint::LOG_BYTES_MAX);
            assert_eq!(setting("journal_size_limit"), limit);
        }
    }
}
