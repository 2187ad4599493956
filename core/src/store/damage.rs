use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rusqlite::{Connection, ErrorCode};
use tokio_util::sync::CancellationToken;

use super::{Reader, Store, StoreError, history, reader};
use crate::model::Severity;

/// In `meta`: what was found to be damaged, or that nobody has looked to the end, so that
/// the next start looks again.
const DAMAGE_MARK: &str = "damage";

/// Findings that are told; one is enough to know what to do.
const FINDINGS_MAX: u32 = 3;

/// SQLite's instructions between two looks at whether to go on.
const INSTRUCTIONS: i32 = 10_000;

/// What is known of the database's soundness.
pub(super) struct Health {
    database: PathBuf,
    /// It was not closed in order, or is not the one that was here before.
    is_doubtful: bool,
    damage: OnceLock<String>,
}

impl Health {
    pub(super) fn new(database: &Path, is_doubtful: bool) -> Self {
        Self {
            database: database.to_owned(),
            is_doubtful,
            damage: OnceLock::new(),
        }
    }

    pub(super) fn was_bad(connection: &Connection) -> Result<bool, StoreError> {
        Ok(Reader::new(connection).meta(DAMAGE_MARK)?.is_some())
    }
}

impl Store {
    /// What is damaged, as far as it has been looked for.
    pub fn damage(&self) -> Option<&str> {
        self.health().damage.get().map(String::as_str)
    }
}

/// Looks the database over where it may have suffered, while it is used. Reads
/// all of it; ends early when cancelled.
pub async fn run(store: Store, token: CancellationToken) {
    if !store.health().is_doubtful {
        return;
    }
    // Until it is known, whoever starts next has to look.
    if let Err(error) = store
        .write(|tx| tx.set_meta(DAMAGE_MARK, "not looked for yet"))
        .await
    {
        tracing::warn!(%error, "if this check is cut short, no other one follows");
    }
    let database = store.health().database.clone();
    let checking = tokio::task::spawn_blocking(move || check(&database, token));
    let outcome = match checking.await.unwrap_or(Err(StoreError::Panicked)) {
        Ok(Verdict::Sound) => {
            tracing::info!("the database is sound");
            store.write(|tx| tx.delete_meta(DAMAGE_MARK)).await
        }
        Ok(Verdict::Damaged(damage)) => tell(&store, damage).await,
        Ok(Verdict::Cancelled) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        tracing::error!(%error, "the database could not be looked over");
    }
}

async fn tell(store: &Store, damage: String) -> Result<(), StoreError> {
    let message = format!(
        "the database is damaged ({damage}): stop the server and bring back a backup \
         with `tiny-forge restore`"
    );
    tracing::error!("{message}");
    let _ = store.health().damage.set(damage.clone());
    let event = history::of_the_journal("journal_damaged", Severity::Critical, message);
    store
        .write(move |tx| {
            tx.set_meta(DAMAGE_MARK, &damage)?;
            tx.publish(event)
        })
        .await?;
    Ok(())
}

pub(super) enum Verdict {
    Sound,
    Damaged(String),
    Cancelled,
}

fn check(database: &Path, token: CancellationToken) -> Result<Verdict, StoreError> {
    let connection = reader::connect(database)?;
    connection.progress_handler(INSTRUCTIONS, Some(move || token.is_cancelled()));
    verdict(&connection)
}

/// SQLite's own check of everything but whether indexes fit their tables.
pub(super) fn verdict(connection: &Connection) -> Result<Verdict, StoreError> {
    match findings(connection) {
        Ok(findings) if findings == ["ok"] => Ok(Verdict::Sound),
        Ok(findings) => Ok(Verdict::Damaged(findings.join("; ").replace('\n', " "))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Ok(Verdict::Cancelled)
        }
        Err(error) => match error.into() {
            StoreError::Corrupt(error) => Ok(Verdict::Damaged(error.to_string())),
            error => Err(error),
        },
    }
}

fn findings(connection: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({FINDINGS_MAX})"))?;
    let findings = statement.query_map([], |row| row.get(0))?;
    findings.collect()
}
