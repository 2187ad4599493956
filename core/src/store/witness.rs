use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use crate::model::Position;

/// As long as any position: always overwritten as a whole.
const LINE_BYTES: usize = 64;

/// The newest event that anybody may have seen, in a file beside the database.
///
/// It is not synced with each event: it survives a killed server, and after a power cut it
/// is only ever too old, since it is written when the event is on disk already. A journal's
/// new name is in it before it is in the database. So where it is ahead of the database, or
/// of another journal, the database has lost something.
pub(super) struct Witness {
    file: Option<File>,
    is_failing: bool,
}

impl Witness {
    pub(super) fn open(database: &Path) -> Self {
        let path = database.with_file_name("head");
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path);
        let mut witness = Self {
            file: None,
            is_failing: false,
        };
        match file {
            Ok(file) => witness.file = Some(file),
            Err(error) => witness.failed(&error),
        }
        witness
    }

    /// What it has seen; nothing where it is new or was not written whole.
    pub(super) fn seen(&self) -> Option<Position> {
        let mut line = [0; LINE_BYTES];
        self.file.as_ref()?.read_exact_at(&mut line, 0).ok()?;
        Position::parse(std::str::from_utf8(&line).ok()?.trim_end())
    }

    /// Called after the commit and before anybody is told.
    pub(super) fn see(&mut self, head: &Position) {
        let Some(file) = &self.file else { return };
        let line = format!("{:<width$}\n", head.to_string(), width = LINE_BYTES - 1);
        match file.write_all_at(line.as_bytes(), 0) {
            Ok(()) => self.is_failing = false,
            Err(error) => self.failed(&error),
        }
    }

    /// And it outlives a power cut.
    pub(super) fn see_for_certain(&mut self, head: &Position) {
        self.see(head);
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_data);
        if let Err(error) = synced {
            self.failed(&error);
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.is_failing {
            tracing::warn!(%error, "lost events may go unnoticed: `head` in the data directory cannot be written");
        }
        self.is_failing = true;
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Witness};
    use crate::model::EventId;

    #[test]
    fn it_remembers_the_last_position_and_nothing_of_a_torn_file() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let database = dir.path().join("db");
        let mut witness = Witness::open(&database);
        assert_eq!(witness.seen(), None);
        for (journal, id) in [("jlonger", 12_345), ("jshort", 7)] {
            let position = Position {
                journal: journal.into(),
                id: EventId(id),
            };
            witness.see(&position);
            assert_eq!(Witness::open(&database).seen(), Some(position));
        }
        for torn in ["", "jshort-7", "\0\0\0"] {
            std::fs::write(dir.path().join("head"), torn).expect("written");
            assert_eq!(Witness::open(&database).seen(), None, "{torn:?}");
        }
    }
}
