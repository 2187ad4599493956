//! Durable key-value pairs of this plugin. The writes of one call are applied
//! together with its result, or not at all. They are kept for a day after the plugin was
//! last in a configuration.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{HostError, host};

pub fn get(key: &str) -> Option<Vec<u8>> {
    host::store_get(key)
}

/// A value written by [`set_json`]; `None` where there is none, or it has another
/// shape.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Option<T> {
    serde_json::from_slice(&get(key)?).ok()
}

/// # Errors
/// Where the host's limits are exceeded.
pub fn set(key: &str, value: &[u8]) -> Result<(), HostError> {
    host::store_set(key, value).map_err(HostError)
}

/// # Errors
/// Where the value cannot be JSON, or the host's limits are exceeded.
pub fn set_json(key: &str, value: &impl Serialize) -> Result<(), HostError> {
    let value = serde_json::to_vec(value)
        .map_err(|error| HostError(format!("value of `{key}` cannot be JSON: {error}")))?;
    set(key, &value)
}

pub fn delete(key: &str) {
    host::store_delete(key);
}
