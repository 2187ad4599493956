use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;

/// Numbered from 1; a released one never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_start.sql"),
    include_str!("migrations/0002_kept.sql"),
    include_str!("migrations/0003_pipelines.sql"),
    include_str!("migrations/0004_secrets.sql"),
    include_str!("migrations/0005_traces.sql"),
    include_str!("migrations/0006_rollbacks.sql"),
    include_str!("migrations/0007_waiting.sql"),
    include_str!("migrations/0008_senders.sql"),
    include_str!("migrations/0009_forgotten.sql"),
];

/// Settings that must stand before the first table, then the tables.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = known_schema(connection)?;
    if found == 0 {
        connection.pragma_update(None, "page_size", 8192)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    for (number, sql) in (1..)
        .zip(MIGRATIONS)
        .skip(usize::try_from(found).unwrap_or(0))
    {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    name_journal_and_node(connection)
}

/// The journal's name changes when history is lost; the node's never.
fn name_journal_and_node(connection: &Connection) -> Result<(), StoreError> {
    for (key, prefix) in [("journal", "j"), ("node", "n-")] {
        let known: Option<String> = connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()?;
        if known.is_none() {
            connection.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2)",
                params![key, random_name(prefix)?],
            )?;
        }
    }
    Ok(())
}

pub(super) fn random_name(prefix: &str) -> Result<String, StoreError> {
    let mut random = [0; 6];
    getrandom::fill(&mut random)
        .map_err(|error| StoreError::Failed(format!("no random bytes: {error}")))?;
    Ok(format!("{prefix}{}", hex::encode(random)))
}

/// The number of its schema, 0 for an empty database.
fn known_schema(connection: &Connection) -> Result<i64, StoreError> {
    let found = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    Ok(found)
}

/// Whether a tiny-forge made this database; an error if a newer one did.
pub(super) fn is_ours(connection: &Connection) -> Result<bool, StoreError> {
    let has_meta = connection.table_exists(None, "meta")?;
    Ok(has_meta && known_schema(connection)? > 0)
}
