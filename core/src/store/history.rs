use super::{Reader, StoreError, Tx, migrate::random_name, writer::Sequence};
use crate::model::{
    Actor, EventId, NewEvent, Payload, Position, Severity, Subject, SystemPayload, Timestamp,
};

/// Whether a database goes on where the server that ran last on this directory
/// has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum History {
    GoesOn,
    /// Events that clients may have seen are not there: the tail was lost, or
    /// another database was put in this place.
    Lost {
        kept: EventId,
        seen: EventId,
    },
    /// It is a copy made by `tiny-forge backup`.
    Restored {
        backed_up: Timestamp,
        seen: EventId,
    },
}

/// In `meta` of a backup: when it was made.
pub(super) const BACKUP_MARK: &str = "backup";

impl History {
    pub(super) fn examine(
        reader: &Reader<'_>,
        witness: Option<&Position>,
    ) -> Result<Self, StoreError> {
        let Position { journal, id: kept } = reader.head()?;
        let seen = witness.map_or(EventId(0), |witness| witness.id);
        if reader.meta(BACKUP_MARK)?.is_some() {
            let made = reader.meta_id(BACKUP_MARK)?;
            return Ok(Self::Restored {
                backed_up: Timestamp::from_unix_ms(made.0),
                seen,
            });
        }
        let is_other = witness.is_some_and(|witness| witness.journal != journal);
        Ok(if is_other || seen > kept {
            Self::Lost { kept, seen }
        } else {
            Self::GoesOn
        })
    }

    /// Gives the journal another name, by which clients notice that what they
    /// remember is of another history, and ids that nobody has seen yet.
    pub(super) fn begin_anew(&self, sequence: &mut Sequence) -> Result<(), StoreError> {
        let (Self::Lost { seen, .. } | Self::Restored { seen, .. }) = self else {
            return Ok(());
        };
        sequence.journal = random_name("j")?;
        sequence.head = sequence.head.max(*seen);
        Ok(())
    }

    /// Writes down what [`Self::begin_anew`] decided, with the event that tells.
    pub(super) fn record(&self, tx: &mut Tx<'_>, journal: &str) -> Result<(), StoreError> {
        let (what, severity, message) = match self {
            Self::GoesOn => return Ok(()),
            Self::Lost { kept, seen } if seen > kept => (
                "history_lost",
                Severity::Critical,
                format!(
                    "events up to {seen} were there before, the database ends with {kept}: \
                     what came between is lost; clients load their state anew"
                ),
            ),
            Self::Lost { kept, seen } => (
                "history_lost",
                Severity::Critical,
                format!(
                    "this is another database than the one that was here before: it has events \
                     up to {kept}, that one had up to {seen}; clients load their state anew"
                ),
            ),
            Self::Restored { backed_up, .. } => (
                "restored",
                Severity::Warning,
                format!("a backup of {backed_up} was restored; clients load their state anew"),
            ),
        };
        tracing::warn!(what, "{message}");
        tx.set_meta("journal", journal)?;
        tx.delete_meta(BACKUP_MARK)?;
        tx.publish(of_the_journal(what, severity, message))?;
        Ok(())
    }
}

pub(super) fn of_the_journal(what: &str, severity: Severity, message: String) -> NewEvent {
    let payload = SystemPayload {
        what: what.to_owned(),
        message,
    };
    NewEvent::new(
        Subject::other("journal"),
        severity,
        Actor::system("store"),
        Payload::System(payload),
    )
}
