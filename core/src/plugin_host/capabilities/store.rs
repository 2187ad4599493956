//! `store`: key-value pairs of one plugin, durable with the result of the call
//! that wrote them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    plugin_host::sandbox::{Fault, HostState, v1},
    store::{PluginWrite, Store, StoreError},
};

const KEY_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 64 << 10;
/// All keys and values of one plugin together.
const TOTAL_BYTES_MAX: usize = 1 << 20;

/// Where a plugin's pairs are kept. Cheap to clone.
#[derive(Clone)]
pub struct PluginValues {
    store: Store,
    plugin: Arc<str>,
    /// What was written while rehearsing, which nobody keeps.
    rehearsed: Option<Arc<Mutex<Changes>>>,
}

impl PluginValues {
    pub fn new(store: Store, plugin: &str) -> Self {
        Self {
            store,
            plugin: plugin.into(),
            rehearsed: None,
        }
    }

    /// The same pairs; what is written over them is forgotten with this.
    pub fn rehearsing(store: Store, plugin: &str) -> Self {
        Self {
            rehearsed: Some(Arc::default()),
            ..Self::new(store, plugin)
        }
    }

    /// Takes what a rehearsed call wrote.
    pub fn rehearse(&self, writes: Vec<PluginWrite>) {
        if let Some(rehearsed) = &self.rehearsed {
            let mut rehearsed = rehearsed.lock().unwrap_or_else(PoisonError::into_inner);
            rehearsed.extend(writes.into_iter().map(|write| (write.key, write.value)));
        }
    }

    fn rehearsed(&self) -> Changes {
        let rehearsed = self.rehearsed.as_ref();
        rehearsed.map_or_else(Changes::new, |rehearsed| {
            let rehearsed = rehearsed.lock().unwrap_or_else(PoisonError::into_inner);
            rehearsed.clone()
        })
    }

    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.rehearsed().remove(&key) {
            return Ok(value);
        }
        let plugin = self.plugin.clone();
        self.store
            .read(move |reader| reader.plugin_value(&plugin, &key))
            .await
    }

    async fn sizes(&self) -> Result<Vec<(String, usize)>, StoreError> {
        let plugin = self.plugin.clone();
        let stored = self
            .store
            .read(move |reader| reader.plugin_value_sizes(&plugin));
        let mut sizes: BTreeMap<String, usize> = stored.await?.into_iter().collect();
        for (key, value) in self.rehearsed() {
            sizes.insert(key.clone(), value.map_or(0, |it| key.len() + it.len()));
        }
        Ok(sizes.into_iter().collect())
    }
}

type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// What one guest wrote and nobody has committed yet: it sees its own writes.
#[derive(Default)]
pub struct PendingWrites {
    /// Of calls that succeeded, until they are taken.
    kept: Changes,
    /// Of the call that runs.
    call: Changes,
}

impl PendingWrites {
    pub fn keep(&mut self) {
        self.kept.append(&mut self.call);
    }

    pub fn discard(&mut self) {
        self.call.clear();
    }

    pub fn take(&mut self) -> Vec<PluginWrite> {
        let kept = std::mem::take(&mut self.kept).into_iter();
        kept.map(|(key, value)| PluginWrite { key, value })
            .collect()
    }

    fn get(&self, key: &str) -> Option<&Option<Vec<u8>>> {
        self.call.get(key).or_else(|| self.kept.get(key))
    }

    fn put(&mut self, key: String, value: Option<Vec<u8>>) {
        self.call.insert(key, value);
    }

    /// What everything takes when `key` has a value of `value_bytes`, with the
    /// pairs that are `stored`.
    fn total_bytes_with(&self, stored: &[(String, usize)], key: &str, value_bytes: usize) -> usize {
        let mut sizes: BTreeMap<&str, usize> = stored
            .iter()
            .map(|(key, bytes)| (key.as_str(), *bytes))
            .collect();
        for (key, value) in self.kept.iter().chain(&self.call) {
            let bytes = value.as_ref().map_or(0, |value| key.len() + value.len());
            sizes.insert(key, bytes);
        }
        sizes.insert(key, key.len() + value_bytes);
        sizes.values().sum()
    }
}

fn check_sizes(key: &str, value_bytes: usize) -> Result<(), String> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(format!(
            "a key has 1 to {KEY_BYTES_MAX} bytes, this one has {}",
            key.len()
        ));
    }
    if value_bytes > VALUE_BYTES_MAX {
        return Err(format!(
            "a value has at most {VALUE_BYTES_MAX} bytes, the one for `{key}` has {value_bytes}"
        ));
    }
    Ok(())
}

fn unreadable(error: StoreError) -> Fault {
    Fault::Host(format!("its stored values cannot be read: {error}"))
}

impl v1::store::Host for HostState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.count_host_call()?;
        if let Some(own) = self.writes.get(&key) {
            return Ok(own.clone());
        }
        Ok(self.setup.values.get(key).await.map_err(unreadable)?)
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), String>> {
        self.count_host_call()?;
        // First: what is large is not searched.
        if let Err(problem) = check_sizes(&key, value.len()) {
            return Ok(Err(problem));
        }
        let secrets = self.setup.secrets.scrubber();
        if secrets.finds(key.as_bytes()) || secrets.finds(&value) {
            let problem = "there is a secret in it: keep its name, and let the host fill it in";
            return Ok(Err(problem.into()));
        }
        let stored = self.setup.values.sizes().await.map_err(unreadable)?;
        let total = self.writes.total_bytes_with(&stored, &key, value.len());
        if total > TOTAL_BYTES_MAX {
            return Ok(Err(format!(
                "a plugin keeps at most {TOTAL_BYTES_MAX} bytes, with `{key}` it would be {total}"
            )));
        }
        self.writes.put(key, Some(value));
        Ok(Ok(()))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        self.count_host_call()?;
        // A key that cannot be set is not there either.
        if check_sizes(&key, 0).is_ok() {
            self.writes.put(key, None);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{KEY_BYTES_MAX, PendingWrites, PluginWrite, VALUE_BYTES_MAX, check_sizes};

    #[test]
    fn the_writes_of_a_call_are_kept_or_discarded_together() {
        let mut writes = PendingWrites::default();
        writes.put("a".into(), Some(vec![1]));
        writes.keep();
        writes.put("a".into(), Some(vec![2]));
        writes.put("b".into(), None);
        assert_eq!(writes.get("a"), Some(&Some(vec![2])));
        writes.discard();
        assert_eq!(writes.get("a"), Some(&Some(vec![1])));
        assert_eq!(
            writes.take(),
            [PluginWrite {
                key: "a".into(),
                value: Some(vec![1])
            }]
        );
        assert_eq!(writes.take(), []);
    }

    #[test]
    fn a_pair_that_is_replaced_counts_once() {
        let mut writes = PendingWrites::default();
        let stored = [("old".to_owned(), 103), ("gone".to_owned(), 104)];
        writes.put("gone".into(), None);
        writes.put("new".into(), Some(vec![0; 7]));
        assert_eq!(writes.total_bytes_with(&stored, "old", 20), 23 + 10);
    }

    #[test]
    fn keys_and_values_have_limits() {
        assert!(check_sizes("k", VALUE_BYTES_MAX).is_ok());
        assert!(check_sizes("", 0).is_err());
        assert!(check_sizes(&"k".repeat(KEY_BYTES_MAX + 1), 0).is_err());
        assert!(check_sizes("k", VALUE_BYTES_MAX + 1).is_err());
    }
}
