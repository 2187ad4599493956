//! The values of a plugin's secrets: from the environment, a file, or the sealed store.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::prepare_error::PrepareError;
use crate::{
    config,
    plugin_host::{
        capabilities::{SecretValue, Secrets},
        config::{SecretConfig, SecretSource},
    },
    store::{SealedSecrets, SecretError},
};

const FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// From where each is configured to be.
pub(super) async fn read(
    configured: &BTreeMap<String, SecretConfig>,
    sealed: &SealedSecrets,
) -> Result<Secrets, PrepareError> {
    let mut values = Vec::new();
    for (name, SecretConfig { source, to }) in configured {
        let value = value(source, sealed).await;
        let value = value.map_err(|reason| PrepareError::Secret {
            name: name.clone(),
            reason,
        })?;
        let to = to.clone();
        values.push((name.clone(), SecretValue { value, to }));
    }
    Secrets::new(values).map_err(PrepareError::SecretTo)
}

async fn value(source: &SecretSource, sealed: &SealedSecrets) -> Result<String, String> {
    match source {
        SecretSource::Environment(variable) => config::environment(variable)
            .ok_or_else(|| format!("the environment variable {variable} is not set")),
        SecretSource::File(path) => read_file(path).await,
        SecretSource::Store(name) => match sealed.value(name).await {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(format!(
                "there is no `{name}` in the sealed store: set it with `tiny-forge secret set {name}`"
            )),
            Err(SecretError::Seal(error)) => Err(format!(
                "{error}; or set it anew with `tiny-forge secret set {name}`"
            )),
            Err(error @ SecretError::Store(_)) => Err(error.to_string()),
        },
    }
}

/// For a rehearsal, which has no use for their values.
pub(super) fn unknown(
    configured: &BTreeMap<String, SecretConfig>,
) -> Result<Secrets, PrepareError> {
    let named = configured.iter();
    let named = named.map(|(name, secret)| (name.clone(), secret.to.clone()));
    Secrets::unknown(named).map_err(PrepareError::SecretTo)
}

async fn read_file(path: &Path) -> Result<String, String> {
    let reading = tokio::fs::read_to_string(path);
    let text = tokio::time::timeout(FILE_TIMEOUT, reading)
        .await
        .map_err(|_| format!("{} cannot be read in time", path.display()))?
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(value.to_owned())
}
