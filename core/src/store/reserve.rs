//! Room for the write-ahead log before it is needed.
//!
//! A commit that makes its file longer has to wait until the file system has noted that,
//! too, which is as much as the commit itself: where the log has been written before, a sync
//! takes little more than half as long. So the log begins as zeros, which to SQLite are no
//! log (a header without its magic number, frames without the header's salt), and is begun
//! anew before it outgrows them, as long as there is not much to do.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

use super::backup::with_ending;

pub(super) const RESERVED_BYTES: u64 = 4 << 20;

const STEP: usize = 64 << 10;

/// What must be free on the disk for that: room that others need is not taken.
const FREE_BYTES_MIN: u64 = 256 << 20;

/// For the writer, between two commits: nobody else makes the log longer. What is not
/// reserved costs time and nothing else.
pub(super) fn reserve_log(database: &Path) {
    if let Err(error) = reserve(&with_ending(database, "-wal")) {
        tracing::debug!(%error, "the write-ahead log begins without room");
    }
}

fn reserve(path: &Path) -> io::Result<()> {
    let mut log = OpenOptions::new().write(true).open(path)?;
    let length = log.seek(SeekFrom::End(0))?;
    if length >= RESERVED_BYTES || fs4::available_space(path)? < FREE_BYTES_MIN {
        return Ok(());
    }
    lengthen(&mut log, length).inspect_err(|_| {
        // As it was, if that can be done.
        let _ = log.set_len(length);
    })
}

fn lengthen(log: &mut File, mut length: u64) -> io::Result<()> {
    while length < RESERVED_BYTES {
        log.write_all(&[0; STEP])?;
        length += STEP as u64;
    }
    log.sync_all()
}
