//! The process's folder: one process at a time, and the socket it is asked by.

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

const SOCKET: &str = "control.sock";

/// Held as long as the process is in charge of its folder.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    lock: File,
    pub control: UnixListener,
}

#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("a proxy runs in {} already: stop it, or let the new one take over", .0.display())]
    Occupied(PathBuf),
    #[error("{} cannot be used: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

impl Home {
    pub fn socket_in(dir: &Path) -> PathBuf {
        dir.join(SOCKET)
    }

    /// Moves in where nobody is.
    pub fn occupy(dir: &Path) -> Result<Self, HomeError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| HomeError::Io(path, error)
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(dir).map_err(failed(dir))?;
        let lock = lock(dir)?;
        let socket = Self::socket_in(dir);
        let control = listen(&socket).map_err(failed(&socket))?;
        let dir = dir.to_owned();
        Ok(Self { dir, lock, control })
    }

    /// Takes the place of the process that has given these.
    pub fn inherit(dir: &Path, lock: OwnedFd, control: OwnedFd) -> Result<Self, HomeError> {
        let listener = std::os::unix::net::UnixListener::from(control);
        let control = UnixListener::from_std(listener)
            .map_err(|error| HomeError::Io(Self::socket_in(dir), error))?;
        Ok(Self {
            dir: dir.to_owned(),
            lock: lock.into(),
            control,
        })
    }

    /// The lock belongs to whoever holds this file: it is passed on with it.
    pub const fn lock(&self) -> &File {
        &self.lock
    }

    /// Leaves for good: nobody is to knock at a door behind which nobody is.
    pub fn leave(self) {
        let socket = Self::socket_in(&self.dir);
        if let Err(error) = fs::remove_file(&socket) {
            tracing::debug!(%error, socket = %socket.display(), "the control socket is left behind");
        }
    }
}

fn lock(dir: &Path) -> Result<File, HomeError> {
    let path = dir.join("lock");
    let mut options = File::options();
    let opened = options.create(true).write(true).truncate(false).open(&path);
    let file = opened.map_err(|error| HomeError::Io(path.clone(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HomeError::Occupied(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(HomeError::Io(path, error)),
    }
}

/// Under its own name only once nobody but its owner may open it.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    let temporary = socket.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&temporary)?;
    fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
    // Takes the place of the one that a crash has left.
    fs::rename(&temporary, socket)?;
    Ok(listener)
}
