use std::{collections::BTreeSet, sync::Arc};

use rusqlite::{OptionalExtension, params};

use super::{Keyring, Reader, SealError, Store, StoreError, Tx};
use crate::model::{SecretName, Timestamp};

/// What may be known of a stored secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    pub name: SecretName,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Why a secret has no value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sealed store of secrets: values go in, and come out for plugins alone. Cheap
/// to clone.
#[derive(Clone)]
pub struct SealedSecrets {
    store: Store,
    keyring: Arc<Keyring>,
}

impl SealedSecrets {
    pub fn new(store: Store, keyring: Arc<Keyring>) -> Self {
        Self { store, keyring }
    }

    pub async fn put(&self, name: SecretName, value: &str) -> Result<StoredSecret, StoreError> {
        let sealed = self.keyring.seal(&purpose(&name), value);
        self.store
            .write(move |tx| tx.put_secret(&name, &sealed))
            .await
    }

    /// False when there is none of this name.
    pub async fn remove(&self, name: SecretName) -> Result<bool, StoreError> {
        self.store.write(move |tx| tx.delete_secret(&name)).await
    }

    /// Of those that have a value.
    pub async fn names(&self) -> Result<BTreeSet<SecretName>, StoreError> {
        let stored = self.store.read(|reader| reader.secrets()).await?;
        Ok(stored.into_iter().map(|secret| secret.name).collect())
    }

    pub async fn value(&self, name: &SecretName) -> Result<Option<String>, SecretError> {
        let wanted = name.clone();
        let sealed = self.store.read(move |reader| reader.sealed_secret(&wanted));
        let Some(sealed) = sealed.await? else {
            return Ok(None);
        };
        Ok(Some(self.keyring.open_sealed(&purpose(name), &sealed)?))
    }
}

/// What a secret is sealed for.
pub(super) fn purpose(name: &SecretName) -> String {
    format!("secret:{name}")
}

impl Reader<'_> {
    /// By name.
    pub fn secrets(&self) -> Result<Vec<StoredSecret>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT name, created_at, updated_at FROM secrets ORDER BY name")?;
        let mut rows = statement.query([])?;
        let mut secrets = Vec::new();
        while let Some(row) = rows.next()? {
            secrets.push(StoredSecret {
                name: parsed(&row.get::<_, String>(0)?)?,
                created_at: Timestamp::from_unix_ms(row.get(1)?),
                updated_at: Timestamp::from_unix_ms(row.get(2)?),
            });
        }
        Ok(secrets)
    }

    pub(super) fn sealed_secret(&self, name: &SecretName) -> Result<Option<String>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT sealed FROM secrets WHERE name = ?1")?;
        let sealed = statement.query_row([name.as_str()], |row| row.get(0));
        Ok(sealed.optional()?)
    }
}

impl Tx<'_> {
    fn put_secret(&self, name: &SecretName, sealed: &str) -> Result<StoredSecret, StoreError> {
        let now = Timestamp::now();
        let created_at: i64 = self.sql().query_row(
            "INSERT INTO secrets (name, sealed, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (name) DO UPDATE
                 SET sealed = excluded.sealed, updated_at = excluded.updated_at
             RETURNING created_at",
            params![name.as_str(), sealed, now.unix_ms()],
            |row| row.get(0),
        )?;
        Ok(StoredSecret {
            name: name.clone(),
            created_at: Timestamp::from_unix_ms(created_at),
            updated_at: now,
        })
    }

    fn delete_secret(&self, name: &SecretName) -> Result<bool, StoreError> {
        let deleted = self
            .sql()
            .execute("DELETE FROM secrets WHERE name = ?1", [name.as_str()])?;
        Ok(deleted == 1)
    }
}

fn parsed(name: &str) -> Result<SecretName, StoreError> {
    let damaged = |_| StoreError::Damaged("a secret has no valid name".into());
    name.parse().map_err(damaged)
}
