use std::io;

use rusqlite::{ErrorCode, ffi};

use crate::{events::EventTooLarge, model::InvalidName};

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The writer's queue is full; nothing was written.
    #[error(
        "the store is busy: {} writes are waiting, try again in a moment",
        super::writer::QUEUE_LENGTH
    )]
    Busy,
    /// Nothing was written; publishing goes on when there is room.
    #[error(
        "the disk that holds the data directory is full, or its quota used up: make room, nothing needs to be restarted"
    )]
    DiskFull,
    #[error(transparent)]
    EventTooLarge(#[from] EventTooLarge),
    #[error("the store is shutting down")]
    Closed,
    #[error(
        "the database was written by a newer tiny-forge (schema {found}, this one knows {known}): install that version"
    )]
    NewerSchema { found: i64, known: i64 },
    #[error(
        "the database is damaged ({0}): stop the server and bring back a backup with `tiny-forge restore`"
    )]
    Corrupt(rusqlite::Error),
    #[error("a stored row is damaged: {0}")]
    Damaged(String),
    /// Nothing was written.
    #[error("the store cannot do its work: {0}")]
    Failed(String),
    #[error("database: {0}")]
    Sqlite(rusqlite::Error),
    #[error("the store panicked at this, and nothing of it was kept; please report it")]
    Panicked,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // The file of the log's index is as large as the log needs it before it is used.
        let is_short_of_room = (error.sqlite_error())
            .is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE);
        match error.sqlite_error_code() {
            _ if is_short_of_room => Self::DiskFull,
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::SystemIoFailure) if is_over_quota() => Self::DiskFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error),
            _ => Self::Sqlite(error),
        }
    }
}

/// SQLite knows a full disk alone, so the last word of the system to this thread counts:
/// only what fails has one, and after a failed write SQLite does nothing that fails.
fn is_over_quota() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::QuotaExceeded
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<InvalidName> for StoreError {
    fn from(error: InvalidName) -> Self {
        Self::Damaged(error.to_string())
    }
}
