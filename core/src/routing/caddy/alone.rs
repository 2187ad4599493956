//! How there is one Caddy in a folder: two would take each other's socket away.

use std::{
    fs::{File, TryLockError},
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::io::{FdFlags, fcntl_setfd};

use super::CaddyHome;

/// As long as whoever has started us waits for an answer, be it of another.
const PATIENCE: Duration = Duration::from_secs(10);
const TRY_EVERY: Duration = Duration::from_millis(50);

/// This process becomes Caddy, and holds the folder's lock as long as it lives. Returns
/// why it does not, if so.
pub fn become_caddy(home: &CaddyHome, program: &Path) -> io::Error {
    let lock = match lock(&home.lock()) {
        Ok(lock) => lock,
        Err(error) => return error,
    };
    // Caddy inherits it.
    if let Err(error) = fcntl_setfd(&lock, FdFlags::empty()) {
        return error.into();
    }
    let mut caddy = Command::new(program);
    caddy.arg("run").arg("--config").arg(home.config_file());
    let error = caddy.exec();
    io::Error::new(error.kind(), format!("`{}`: {error}", program.display()))
}

fn lock(path: &Path) -> io::Result<File> {
    let options = File::options().create(true).append(true).open(path);
    let (lock, deadline) = (options?, Instant::now() + PATIENCE);
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(TRY_EVERY),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another Caddy serves these domains"));
            }
        }
    }
}
