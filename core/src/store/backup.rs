use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
    params,
};

use super::{
    Reader, StoreError,
    damage::{self, Verdict},
    history::BACKUP_MARK,
    migrate, reader,
};
use crate::model::{Position, Timestamp};

/// Why a backup was not made, or not brought back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no database `{0}`: name its directory with --data")]
    NoDatabase(PathBuf),
    #[error("`{0}` exists: choose another name, or move it away")]
    Exists(PathBuf),
    #[error("`{path}` is damaged: {damage}")]
    Damaged { path: PathBuf, damage: String },
    #[error("`{path}` is no backup of tiny-forge: {problem}")]
    NotOurs { path: PathBuf, problem: String },
    #[error(
        "`{0}` is the database of a server that did not end in order, its newest part is \
         in the file beside it: make a backup with `tiny-forge backup`"
    )]
    Incomplete(PathBuf),
    #[error("there is no room for `{0}`: make some on that disk, or name another place")]
    Full(PathBuf),
    #[error("`{path}`: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("`{path}`: {error}")]
    Store { path: PathBuf, error: StoreError },
}

impl BackupError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |error| Self::Io { path, error }
    }

    pub(super) fn store<E: Into<StoreError>>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        |error| match error.into() {
            StoreError::DiskFull => Self::Full(path),
            error => Self::Store { path, error },
        }
    }
}

/// What was copied.
#[derive(Debug)]
pub struct Copied {
    pub bytes: u64,
    /// The newest event in it.
    pub head: Position,
}

/// 8 MiB between two reports of progress.
const STEP_PAGES: i32 = 1_024;

/// Copies a database, while a server uses it or not, into one file that is there
/// as a whole or not at all. `progress` is told the share that is done. Blocks.
pub fn backup(
    database: &Path,
    to: &Path,
    progress: impl FnMut(f64),
) -> Result<Copied, BackupError> {
    if !database.exists() {
        return Err(BackupError::NoDatabase(database.to_owned()));
    }
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let partial = Partial::beside(to)?;
    copy_pages(database, &partial.0, progress)?;
    let head = verify(&partial.0, database)?;
    mark(&partial.0)?;
    let bytes = partial.keep_as(to)?;
    Ok(Copied { bytes, head })
}

/// One read transaction, so that it is the state of one moment: commits go on
/// meanwhile and are not in it.
fn copy_pages(database: &Path, copy: &Path, progress: impl FnMut(f64)) -> Result<(), BackupError> {
    let source = reader::connect(database).map_err(BackupError::store(database))?;
    let moment = source
        .unchecked_transaction()
        .map_err(BackupError::store(database))?;
    Reader::new(&moment)
        .head()
        .map_err(BackupError::store(database))?;
    copy_steps(&moment, copy, progress).map_err(BackupError::store(copy))
}

fn copy_steps(
    moment: &Connection,
    copy: &Path,
    mut progress: impl FnMut(f64),
) -> Result<(), rusqlite::Error> {
    let mut target = Connection::open(copy)?;
    // It is synced as a whole in the end.
    target.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(moment, &mut target)?;
    while backup.step(STEP_PAGES)? != StepResult::Done {
        let pages = backup.progress();
        progress(1.0 - f64::from(pages.remaining) / f64::from(pages.pagecount.max(1)));
    }
    Ok(())
}

/// That `copy` is a database of ours, not newer than this program, and sound.
/// Errors name what it is a copy `of`.
pub(super) fn verify(copy: &Path, of: &Path) -> Result<Position, BackupError> {
    let not_ours = |problem: String| BackupError::NotOurs {
        path: of.to_owned(),
        problem,
    };
    let store = |error| match error {
        StoreError::Corrupt(error) => not_ours(error.to_string()),
        error => BackupError::store(of)(error),
    };
    let connection = reader::connect(copy).map_err(store)?;
    if !migrate::is_ours(&connection).map_err(store)? {
        return Err(not_ours("another program made this database".into()));
    }
    match damage::verdict(&connection).map_err(store)? {
        Verdict::Sound | Verdict::Cancelled => Reader::new(&connection).head().map_err(store),
        Verdict::Damaged(damage) => Err(BackupError::Damaged {
            path: of.to_owned(),
            damage,
        }),
    }
}

/// Says in a copy that it is one, and makes it a single file. Whoever opens it
/// as a database gives the journal another name.
pub(super) fn mark(copy: &Path) -> Result<(), BackupError> {
    let marking = || {
        let connection = Connection::open(copy)?;
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        connection.execute(
            "INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)",
            params![BACKUP_MARK, Timestamp::now().unix_ms().to_string()],
        )
    };
    marking().map_err(BackupError::store::<rusqlite::Error>(copy))?;
    Ok(())
}

/// A file that is deleted unless it is kept.
pub(super) struct Partial(pub(super) PathBuf);

impl Partial {
    /// Empty, for nobody else to read. One that was left behind is replaced.
    pub(super) fn beside(target: &Path) -> Result<Self, BackupError> {
        let partial = Self(with_ending(target, ".partial"));
        partial.delete();
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial.0)
            .map_err(BackupError::io(&partial.0))?;
        Ok(partial)
    }

    /// Its size, once it is on disk under its own name.
    pub(super) fn keep_as(self, target: &Path) -> Result<u64, BackupError> {
        let file = File::open(&self.0).map_err(BackupError::io(&self.0))?;
        file.sync_all().map_err(BackupError::io(&self.0))?;
        let bytes = file.metadata().map_err(BackupError::io(&self.0))?.len();
        fs::rename(&self.0, target).map_err(BackupError::io(target))?;
        sync_folder_of(target)?;
        Ok(bytes)
    }

    fn delete(&self) {
        for ending in ["", "-journal", "-wal", "-shm"] {
            let _ = fs::remove_file(with_ending(&self.0, ending));
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.delete();
    }
}

pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// So that a rename outlives a power cut.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), BackupError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(BackupError::io(folder))
}
