use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use super::{Reader, StoreError, Tx};

/// One change of a plugin's key-value store; without a value it is a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginWrite {
    pub key: String,
    pub value: Option<Vec<u8>>,
}

impl Reader<'_> {
    /// Names of all plugins that have stored something, or for which something waits.
    pub fn plugin_names(&self) -> Result<BTreeSet<String>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT DISTINCT plugin FROM plugin_store
             UNION SELECT sink FROM deliveries WHERE status IN ('pending', 'retrying')",
        )?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn plugin_value(&self, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self
            .sql()
            .prepare_cached("SELECT value FROM plugin_store WHERE plugin = ?1 AND key = ?2")?;
        Ok(statement
            .query_row([plugin, key], |row| row.get(0))
            .optional()?)
    }

    /// How many bytes each stored pair of a plugin takes: key and value.
    pub fn plugin_value_sizes(&self, plugin: &str) -> Result<Vec<(String, usize)>, StoreError> {
        let mut statement = self.sql().prepare_cached(
            "SELECT key, LENGTH(CAST(key AS BLOB)) + LENGTH(value) FROM plugin_store WHERE plugin = ?1",
        )?;
        let rows = statement.query_map([plugin], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    pub fn remove_plugin_values(&self, plugin: &str) -> Result<(), StoreError> {
        self.sql()
            .execute("DELETE FROM plugin_store WHERE plugin = ?1", [plugin])?;
        Ok(())
    }

    /// Applies what a plugin wrote, in its order.
    pub fn apply_plugin_writes(
        &self,
        plugin: &str,
        writes: &[PluginWrite],
    ) -> Result<(), StoreError> {
        let mut put = self.sql().prepare_cached(
            "INSERT INTO plugin_store (plugin, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (plugin, key) DO UPDATE SET value = excluded.value",
        )?;
        let mut delete = self
            .sql()
            .prepare_cached("DELETE FROM plugin_store WHERE plugin = ?1 AND key = ?2")?;
        for PluginWrite { key, value } in writes {
            match value {
                Some(value) => put.execute(params![plugin, key, value])?,
                None => delete.execute(params![plugin, key])?,
            };
        }
        Ok(())
    }
}
