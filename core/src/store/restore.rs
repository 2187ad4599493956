use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{
    DataDir,
    backup::{BackupError, Copied, Partial, mark, sync_folder_of, verify, with_ending},
    checkpoint,
};
use crate::model::Timestamp;

/// What was brought back.
#[derive(Debug)]
pub struct Restored {
    pub copied: Copied,
    /// Where the database is that was there before.
    pub before: Option<PathBuf>,
}

/// Puts a copy of a backup in the place of the database, which is kept under
/// another name. Holding `data` says that no server runs on it. Blocks.
pub fn restore(data: &DataDir, from: &Path) -> Result<Restored, BackupError> {
    if checkpoint::was_left_behind(from) {
        return Err(BackupError::Incomplete(from.to_owned()));
    }
    let database = data.database();
    let partial = Partial::beside(&with_ending(&database, ".restore"))?;
    let mut backup = File::open(from).map_err(BackupError::io(from))?;
    let mut copy = File::create(&partial.0).map_err(BackupError::io(&partial.0))?;
    io::copy(&mut backup, &mut copy).map_err(BackupError::io(&partial.0))?;
    drop(copy);
    let head = verify(&partial.0, from)?;
    mark(&partial.0)?;
    let before = move_aside(&database)?;
    let bytes = partial.keep_as(&database)?;
    Ok(Restored {
        copied: Copied { bytes, head },
        before,
    })
}

/// With its write-ahead log, which must not be taken for that of the backup.
fn move_aside(database: &Path) -> Result<Option<PathBuf>, BackupError> {
    if !database.exists() {
        return Ok(None);
    }
    let time = Timestamp::now().to_string().replace([':', '.'], "-");
    let aside = with_ending(database, &format!(".before-restore-{time}"));
    // Closing the last connection takes the log into the file. One that is
    // damaged may refuse; then the log is moved as it is.
    if let Ok(connection) = Connection::open(database) {
        checkpoint::empty_log(&connection);
    }
    for ending in ["-wal", "-shm", ""] {
        let from = with_ending(database, ending);
        match fs::rename(&from, with_ending(&aside, ending)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(BackupError::io(&from)(error)),
        }
    }
    sync_folder_of(database)?;
    Ok(Some(aside))
}
