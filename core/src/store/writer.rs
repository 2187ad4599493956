use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
};

use rusqlite::{Connection, params};
use tokio::sync::mpsc;

use super::{Reader, StoreError, checkpoint::Checkpoints, kept::Tally, witness::Witness};
use crate::{
    events::{Log, Room, Segment, SegmentBuilder},
    failpoint::{self, Failpoint},
    model::{EventId, NewEvent, Position},
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
        if let Some((parts, json)) = self.frames.last() {
            let (kind, bytes) = (parts.kind, json.len());
            if let Err(error) = self.append(&parts, json) {
                self.frames.truncate(before);
                return Err(error);
            }
            self.sequence.appended.add(kind, bytes);
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

    pub(super) fn delete_meta(&self, key: &str) -> Result<(), StoreError> {
        self.sql()
            .prepare_cached("DELETE FROM meta WHERE key = ?1")?
            .execute([key])?;
        Ok(())
    }
}

/// Who we are and how far the ids have come; known to the writer alone.
pub(super) struct Sequence {
    pub(super) journal: String,
    pub(super) node: String,
    pub(super) head: EventId,
    /// By the transaction under way.
    appended: Tally,
}

/// The thread that owns the only connection that writes.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) sequence: Sequence,
    pub(super) log: Arc<Log>,
    pub(super) checkpoints: Checkpoints,
    pub(super) witness: Witness,
    /// What the last commit took.
    pub(super) room: Room,
    /// What has left memory since: the next events take its place.
    pub(super) gone: Option<Segment>,
}

impl Writer {
    /// Until the last handle is gone; the readers then end, too.
    pub(super) fn run(
        mut self,
        mut queue: mpsc::Receiver<Box<dyn Job>>,
        readers: Vec<JoinHandle<()>>,
    ) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_LENGTH_MAX
                && let Ok(job) = queue.try_recv()
            {
                group.push(job);
            }
            self.commit(group);
        }
        // A log that somebody reads cannot be emptied.
        for reader in readers {
            reader.join().unwrap_or_default();
        }
        self.checkpoints.end(&self.connection);
    }

    /// Persist, then fan out, then answer.
    pub(super) fn commit(&mut self, mut group: Vec<Box<dyn Job>>) {
        let head_before = self.sequence.head;
        let (journal, gone) = (&self.sequence.journal, self.gone.take());
        let mut frames = SegmentBuilder::in_place_of(journal, gone, self.room);
        match self.run_in_one_transaction(&mut group, &mut frames) {
            Ok(outcomes) => {
                if !frames.is_empty() {
                    self.witness.see(&self.sequence.position());
                    failpoint::reached(Failpoint::EventsCommitted);
                }
                self.room = frames.room();
                let bytes = self.room.bytes;
                if let Some(segment) = frames.seal() {
                    self.gone = self.log.append(segment);
                }
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    job.finish(outcome);
                }
                self.checkpoints.committed(&self.connection, bytes);
            }
            Err(error) => {
                self.sequence.head = head_before;
                tracing::error!(%error, "a commit failed; nothing of it was kept");
                let disk_full = matches!(error, StoreError::DiskFull);
                for job in group {
                    let error = if disk_full {
                        StoreError::DiskFull
                    } else {
                        StoreError::Failed(format!("a commit failed: {error}"))
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
        self.sequence.appended = Tally::default();
        let outcomes = match group {
            [only] => {
                let outcome = run_job(&transaction, &mut self.sequence, frames, only.as_mut());
                if outcome.is_err() {
                    // Dropped, the transaction is undone.
                    return Ok(vec![outcome]);
                }
                vec![outcome]
            }
            group => group
                .iter_mut()
                .map(|job| run_in_savepoint(&transaction, &mut self.sequence, frames, job.as_mut()))
                .collect::<Result<_, _>>()?,
        };
        if !frames.is_empty() {
            let (head, appended) = (self.sequence.head, self.sequence.appended);
            let tx = Tx {
                reader: Reader::new(&transaction),
                sequence: &mut self.sequence,
                frames,
            };
            tx.set_meta("head", &head.to_string())?;
            tx.count_appended(&appended)?;
        }
        transaction.commit()?;
        Ok(outcomes)
    }
}

/// A job that fails is undone alone; the others of its group still commit. The
/// error is of what undoes all of them.
fn run_in_savepoint(
    connection: &Connection,
    sequence: &mut Sequence,
    frames: &mut SegmentBuilder,
    job: &mut dyn Job,
) -> Result<Result<(), StoreError>, StoreError> {
    execute(connection, "SAVEPOINT job")?;
    let outcome = run_job(connection, sequence, frames, job);
    match outcome {
        // SQLite may have undone the whole transaction already.
        Err(StoreError::DiskFull) => return Err(StoreError::DiskFull),
        Err(_) => execute(connection, "ROLLBACK TO job")?,
        Ok(()) => {}
    }
    execute(connection, "RELEASE job")?;
    Ok(outcome)
}

/// Where it fails, it leaves no trace but in the database.
fn run_job(
    connection: &Connection,
    sequence: &mut Sequence,
    frames: &mut SegmentBuilder,
    job: &mut dyn Job,
) -> Result<(), StoreError> {
    let before = (sequence.head, sequence.appended, frames.len());
    let mut tx = Tx {
        reader: Reader::new(connection),
        sequence,
        frames,
    };
    let outcome =
        catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))).unwrap_or(Err(StoreError::Panicked));
    if outcome.is_err() {
        (sequence.head, sequence.appended) = (before.0, before.1);
        frames.truncate(before.2);
    }
    outcome
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
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
            appended: Tally::default(),
        })
    }

    pub(super) fn position(&self) -> Position {
        Position {
            journal: self.journal.clone(),
            id: self.head,
        }
    }
}
