use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error(
        "the data directory `{0}` is in use by another tiny-forge: stop that one, or choose another with --data"
    )]
    InUse(PathBuf),
    #[error("the data directory `{path}` cannot be used: {error}")]
    Io { path: PathBuf, error: io::Error },
}

/// The data directory, locked for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Holds the lock; the kernel releases it however we end.
    _lock: File,
}

impl DataDir {
    /// Makes the directory (mode 0700) if it is missing, and locks it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |error| DataDirError::Io {
            path: path.to_owned(),
            error,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(io)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(io)?;
        match lock_soon(&lock) {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn database(&self) -> PathBuf {
        Self::database_in(&self.path)
    }

    /// Where it is in a directory that somebody else may have locked.
    pub fn database_in(path: &Path) -> PathBuf {
        path.join("tiny-forge.db")
    }

    /// What seals secrets at rest.
    pub fn key_in(path: &Path) -> PathBuf {
        path.join("key")
    }

    /// The key that takes its place, while that is done.
    pub fn next_key_in(path: &Path) -> PathBuf {
        path.join("key.next")
    }

    pub fn cache(&self) -> PathBuf {
        self.path.join("cache")
    }
}

/// A server that has just ended may hold the lock a moment longer: a child that
/// it was starting shares it until it executes its own program.
fn lock_soon(file: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(PATIENCE / 20);
            }
            locked_or_not => return locked_or_not,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DataDir, DataDirError};

    #[test]
    fn a_second_server_is_refused_until_the_first_ends() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let first = DataDir::open(dir.path()).expect("free directory");
        assert!(matches!(
            DataDir::open(dir.path()),
            Err(DataDirError::InUse(_))
        ));
        drop(first);
        assert!(DataDir::open(dir.path()).is_ok());
    }
}
