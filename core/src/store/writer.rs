use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rusqlite::{Connection, params};
use tokio::sync::mpsc;

use super::{Reader, StoreError};
use crate::{
    events::{Log, SegmentBuilder},
    failpoint::{self, Failpoint},
    model::{EventId, NewEvent},
};

/// Writes that may wait. When it is full, `write` waits and `enqueue` says
/// [`StoreError::Busy`]: nobody who publishes is ever held up.
pub(super) const QUEUE_LENGTH: usize = 4096;

/// Writes that share one commit: bounds how long the first of them waits.
const GROUP_LENGTH_MAX: usize = 512;

/// One closure that wants to write, with somebody who waits for its outcome.
pub(super) trait Job: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    /// Called once, after the commit that held it, or after it was undone.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A write transaction: state changes and the events that tell of them.
pub struct Tx<'c> {
    reader: Reader<'c>,
    sequence: &'c mut Sequence,
    frames: &'c mut SegmentBuilder,
}

impl<'c> Deref for Tx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl Tx<'_> {
    /// Appends an event to the journal. Subscribers see it after the commit.
    pub fn publish(&mut self, event: NewEvent) -> Result<EventId, StoreError> {
        let id = self.next_event();
        let before = self.frames.len();
        self.frames.push_new(&self.sequence.node, id, event)?;
        if let Some((parts, json)) = self.frames.last()
            && let Err(error) = self.append(parts, json)
        {
            self.frames.truncate(before);
            return Err(error);
        }
        self.sequence.head = id;
        Ok(id)
    }

    /// The id that the next published event will have.
    pub fn next_event(&self) -> EventId {
        EventId(self.sequence.head.0 + 1)
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached(
                "INSERT INTO meta (key, value) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )?
            .execute(params![key, value])?;
        Ok(())
    }
}

/// Who we are and how far the ids have come; known to the writer alone.
pub(super) struct Sequence {
    pub(super) journal: String,
    pub(super) node: String,
    pub(super) head: EventId,
}

/// The thread that owns the only connection that writes.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) sequence: Sequence,
    pub(super) log: Arc<Log>,
}

impl Writer {
    /// Ends when the last handle is gone and the queue is empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_LENGTH_MAX
                && let Ok(job) = queue.try_recv()
            {
                group.push(job);
            }
            self.commit(group);
        }
        if let Err(error) = self
            .connection
            .pragma_update(None, "wal_checkpoint", "TRUNCATE")
        {
            tracing::debug!(%error, "the last checkpoint was left to the next start");
        }
    }

    /// Persist, then fan out, then answer.
    fn commit(&mut self, mut group: Vec<Box<dyn Job>>) {
        let head_before = self.sequence.head;
        let mut frames = SegmentBuilder::new(&self.sequence.journal);
        match self.run_in_one_transaction(&mut group, &mut frames) {
            Ok(outcomes) => {
                if !frames.is_empty() {
                    failpoint::reached(Failpoint::EventsCommitted);
                }
                if let Some(segment) = frames.seal() {
                    self.log.append(segment);
                }
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    job.finish(outcome);
                }
            }
            Err(error) => {
                self.sequence.head = head_before;
                tracing::error!(%error, "a commit failed; nothing of it was kept");
                let disk_full = matches!(error, StoreError::DiskFull);
                for job in group {
                    let error = if disk_full {
                        StoreError::DiskFull
                    } else {
                        StoreError::Damaged(format!("the commit failed: {error}"))
                    };
                    job.finish(Err(error));
                }
            }
        }
    }

    fn run_in_one_transaction(
        &mut self,
        group: &mut [Box<dyn Job>],
        frames: &mut SegmentBuilder,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut outcomes = Vec::with_capacity(group.len());
        for job in group {
            outcomes.push(run_in_savepoint(
                &transaction,
                &mut self.sequence,
                frames,
                job.as_mut(),
            )?);
        }
        if !frames.is_empty() {
            let head = self.sequence.head;
            let tx = Tx {
                reader: Reader::new(&transaction),
                sequence: &mut self.sequence,
                frames,
            };
            tx.set_meta("head", &head.to_string())?;
        }
        transaction.commit()?;
        Ok(outcomes)
    }
}

/// A job that fails is undone alone; the others of its group still commit.
fn run_in_savepoint(
    connection: &Connection,
    sequence: &mut Sequence,
    frames: &mut SegmentBuilder,
    job: &mut dyn Job,
) -> Result<Result<(), StoreError>, StoreError> {
    let (head_before, frames_before) = (sequence.head, frames.len());
    connection.execute_batch("SAVEPOINT job")?;
    let mut tx = Tx {
        reader: Reader::new(connection),
        sequence,
        frames,
    };
    let outcome =
        catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))).unwrap_or(Err(StoreError::Panicked));
    if outcome.is_err() {
        sequence.head = head_before;
        frames.truncate(frames_before);
        connection.execute_batch("ROLLBACK TO job; RELEASE job")?;
    } else {
        connection.execute_batch("RELEASE job")?;
    }
    Ok(outcome)
}

impl Sequence {
    /// The head is stored, and checked against what is there: never backwards.
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let reader = Reader::new(connection);
        let stored = reader.meta_id("head")?;
        let newest: i64 = connection.query_row(
            "SELECT max(coalesce((SELECT max(id) FROM events), 0),
                        coalesce((SELECT max(id) FROM deploy_logs), 0))",
            [],
            |row| row.get(0),
        )?;
        let node = reader.meta("node")?.unwrap_or_default();
        Ok(Self {
            journal: reader.journal_name()?,
            node,
            head: EventId(stored.0.max(newest)),
        })
    }
}
