//! Another key for all that is sealed.
//!
//! The order makes it safe to be killed at any point: the new key is on disk beside
//! the old one before anything is sealed with it; everything is resealed in one
//! transaction, which also writes down the key's id; then the new key takes the
//! place of the old one. Who starts next finds a key beside the key, and learns from
//! the database which of them opens it.

use std::{fs, io};

use rusqlite::{Connection, Transaction, params};

use super::{
    DataDir, Keyring, Reader, SealError, SealedSpec, StoreError, backup::sync_folder_of,
    checkpoint, handle, reader, secrets,
};
use crate::{
    failpoint::{self, Failpoint},
    model::{InvalidName, Lane},
};

/// In `meta`: which key opens what is sealed here; absent before the first rotation.
const SEALED_WITH: &str = "sealed_with";

#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("there is nothing in `{0}` yet: name the data directory of a server with --data")]
    Nothing(String),
    #[error("the key cannot be replaced: {0}")]
    Io(#[from] io::Error),
    #[error(
        "neither `key` nor `key.next` in the data directory is what the database was sealed \
         with: put that key back, nothing was changed"
    )]
    NoKey,
    #[error("{what}: {error}")]
    Seal { what: String, error: SealError },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for RotateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Seals everything with a new key; says how many specifications and secrets that
/// were. Holding `data` says that no server runs on it. Blocks.
pub fn rotate_key(data: &DataDir) -> Result<usize, RotateError> {
    let database = data.database();
    if !database.exists() || !DataDir::key_in(data.path()).exists() {
        return Err(RotateError::Nothing(data.path().display().to_string()));
    }
    let mut connection = handle::connect(&database)?;
    finish(data, &connection)?;
    let old = Keyring::open(data.path())?;
    let new = Keyring::create(&DataDir::next_key_in(data.path()))?;
    sync(data)?;
    failpoint::reached(Failpoint::KeyMade);
    let resealed = reseal_all(&mut connection, &old, &new);
    if resealed.is_err() && Reader::new(&connection).meta(SEALED_WITH)? != Some(new.id()) {
        fs::remove_file(DataDir::next_key_in(data.path()))?;
    }
    let count = resealed?;
    failpoint::reached(Failpoint::KeyUsed);
    put_in_place(data)?;
    failpoint::reached(Failpoint::KeyReplaced);
    Ok(count)
}

/// Ends a rotation that was killed half-way: forward where everything was resealed,
/// back to the old key otherwise.
pub fn finish_rotation(data: &DataDir) -> Result<(), RotateError> {
    if !DataDir::next_key_in(data.path()).exists() {
        return Ok(());
    }
    finish(data, &reader::connect(&data.database())?)
}

fn finish(data: &DataDir, connection: &Connection) -> Result<(), RotateError> {
    let next = DataDir::next_key_in(data.path());
    if !next.exists() {
        return Ok(());
    }
    let sealed_with = Reader::new(connection).meta(SEALED_WITH)?;
    let id = match Keyring::read(&next) {
        Ok(key) => Some(key.id()),
        // It was not written to its end, and has sealed nothing.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(error.into()),
    };
    if id.is_some() && sealed_with == id {
        return put_in_place(data);
    }
    let old = Keyring::read(&DataDir::key_in(data.path()))?.id();
    if sealed_with.is_some_and(|id| id != old) {
        return Err(RotateError::NoKey);
    }
    fs::remove_file(next)?;
    Ok(())
}

fn put_in_place(data: &DataDir) -> Result<(), RotateError> {
    fs::rename(
        DataDir::next_key_in(data.path()),
        DataDir::key_in(data.path()),
    )?;
    sync(data)
}

fn sync(data: &DataDir) -> Result<(), RotateError> {
    let synced = sync_folder_of(&DataDir::key_in(data.path()));
    synced.map_err(|error| RotateError::Io(io::Error::other(error.to_string())))
}

fn reseal_all(
    connection: &mut Connection,
    old: &Keyring,
    new: &Keyring,
) -> Result<usize, RotateError> {
    // What the old key opens is not to be found in free pages either.
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction()?;
    let count = reseal_specs(&transaction, "lanes", old, new)?
        + reseal_specs(&transaction, "deploys", old, new)?
        + reseal_secrets(&transaction, old, new)?;
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![SEALED_WITH, new.id()],
    )?;
    transaction.commit()?;
    // What was sealed before is in the log until it is emptied, at the next start at the latest.
    checkpoint::empty_log(connection);
    Ok(count)
}

/// `table` has a specification in each row, of the lane that the row names.
fn reseal_specs(
    transaction: &Transaction<'_>,
    table: &str,
    old: &Keyring,
    new: &Keyring,
) -> Result<usize, RotateError> {
    // Rows of a table without row ids have their primary key instead.
    let key = if table == "lanes" {
        "project || '/' || stage"
    } else {
        "id"
    };
    let mut read =
        transaction.prepare(&format!("SELECT {key}, project, stage, spec FROM {table}"))?;
    let mut write =
        transaction.prepare(&format!("UPDATE {table} SET spec = ?2 WHERE {key} = ?1"))?;
    let mut rows = read.query([])?;
    let mut resealed = Vec::new();
    while let Some(row) = rows.next()? {
        let row_key: rusqlite::types::Value = row.get(0)?;
        let lane = lane(&row.get::<_, String>(1)?, &row.get::<_, String>(2)?)?;
        let spec: SealedSpec = parse(&row.get::<_, String>(3)?)?;
        let spec = spec
            .reseal(&lane, old, new)
            .map_err(|error| RotateError::Seal {
                what: format!("the specification of {lane}"),
                error,
            })?;
        let text = serde_json::to_string(&spec).map_err(StoreError::from)?;
        resealed.push((row_key, text));
    }
    for (row_key, text) in &resealed {
        write.execute(params![row_key, text])?;
    }
    Ok(resealed.len())
}

fn reseal_secrets(
    transaction: &Transaction<'_>,
    old: &Keyring,
    new: &Keyring,
) -> Result<usize, RotateError> {
    let reader = Reader::new(transaction);
    let stored = reader.secrets()?;
    let mut write = transaction.prepare("UPDATE secrets SET sealed = ?2 WHERE name = ?1")?;
    for secret in &stored {
        let Some(sealed) = reader.sealed_secret(&secret.name)? else {
            continue;
        };
        let purpose = secrets::purpose(&secret.name);
        let value = old.open_sealed(&purpose, &sealed);
        let value = value.map_err(|error| RotateError::Seal {
            what: format!("secret `{}`", secret.name),
            error,
        })?;
        write.execute(params![secret.name.as_str(), new.seal(&purpose, &value)])?;
    }
    Ok(stored.len())
}

fn lane(project: &str, stage: &str) -> Result<Lane, StoreError> {
    let parsed = || {
        Ok::<_, InvalidName>(Lane {
            project: project.parse()?,
            stage: stage.parse()?,
        })
    };
    Ok(parsed()?)
}

fn parse(spec: &str) -> Result<SealedSpec, StoreError> {
    Ok(serde_json::from_str(spec)?)
}

#[cfg(test)]
mod tests {
    use super::{DataDir, Keyring, RotateError, finish_rotation};

    #[test]
    fn a_key_that_was_not_written_to_its_end_is_removed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let data = DataDir::open(dir.path()).expect("a data directory");
        drop(super::handle::connect(&data.database()).expect("a database"));
        Keyring::open(dir.path()).expect("a key");
        let next = DataDir::next_key_in(dir.path());
        std::fs::write(&next, b"half").expect("written");
        finish_rotation(&data).expect("ended");
        assert!(!next.exists());
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_taken_for_one_that_is_not_used() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let data = DataDir::open(dir.path()).expect("a data directory");
        let database = super::handle::connect(&data.database()).expect("a database");
        Keyring::open(dir.path()).expect("a key");
        let next = DataDir::next_key_in(dir.path());
        std::fs::create_dir(&next).expect("something that is no file");
        finish_rotation(&data).expect_err("it cannot be read");
        assert!(next.exists());
        std::fs::remove_dir(&next).expect("removed");

        // Neither is the one that the database names.
        let sealed = "INSERT INTO meta (key, value) VALUES ('sealed_with', 'another')";
        database.execute(sealed, []).expect("written");
        std::fs::write(&next, [7; 32]).expect("written");
        let refused = finish_rotation(&data).expect_err("neither opens it");
        assert!(matches!(refused, RotateError::NoKey), "{refused}");
        assert!(next.exists());
    }
}
