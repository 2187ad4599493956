//! The sealed store of secrets, and who takes them from there.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;

use super::{
    HostError, PluginHost,
    host::not_found,
    plugin::{Versions, Wanted},
};
use crate::{
    model::{Position, Principal, Secret, SecretName},
    store::StoredSecret,
};

/// Plugins have a new value after so long, or have something else to say of it.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);

impl PluginHost {
    /// Those that are set, and those that plugins look for, by name.
    pub async fn secrets(&self) -> Result<(Vec<Secret>, Position), HostError> {
        let store = &self.shared().store;
        let (stored, as_of) = store
            .read(|reader| Ok((reader.secrets()?, reader.head()?)))
            .await?;
        let users = self.live().secret_users.clone();
        let unset = users.iter().map(|(name, used_by)| Secret {
            name: name.clone(),
            created_at: None,
            updated_at: None,
            used_by: used_by.clone(),
        });
        let mut all: BTreeMap<SecretName, Secret> =
            unset.map(|secret| (secret.name.clone(), secret)).collect();
        for stored in stored {
            let secret = shown(stored, &users);
            all.insert(secret.name.clone(), secret);
        }
        Ok((all.into_values().collect(), as_of))
    }

    /// Gives it a value, which plugins that run have when this returns.
    pub async fn put_secret(
        &self,
        _: &Principal,
        name: SecretName,
        value: &str,
    ) -> Result<Secret, HostError> {
        let stored = self.shared().kit.secrets.put(name.clone(), value).await?;
        tracing::info!(secret = %name, "a secret was set");
        let taken = self.changed(&name, true).into_iter();
        let taken = join_all(taken.map(async |mut versions| versions.changed().await.ok()));
        tokio::time::timeout(TAKEN_WITHIN, taken).await.ok();
        Ok(shown(stored, &self.live().secret_users))
    }

    /// Refused while a plugin's configuration names it: that would stop at its next
    /// change, long after whoever did this has gone.
    pub async fn remove_secret(&self, _: &Principal, name: SecretName) -> Result<(), HostError> {
        if let Some(users) = self.live().secret_users.get(&name) {
            let users = users.clone();
            return Err(HostError::SecretInUse { name, users });
        }
        if !self.shared().kit.secrets.remove(name.clone()).await? {
            return Err(not_found("secret", name.as_str()));
        }
        tracing::info!(secret = %name, "a secret was removed");
        self.changed(&name, false);
        Ok(())
    }

    /// Prepared again, a plugin reads the new value, and a guest of its own follows. The
    /// versions of those that do.
    fn changed(&self, name: &SecretName, is_stored: bool) -> Vec<Versions> {
        let mut changed = Vec::new();
        for plugin in self.live().plugins.values() {
            plugin.status.note_stored(name.as_str(), is_stored);
            let mut versions = plugin.versions.clone();
            versions.mark_unchanged();
            if plugin.wanted.send_if_modified(|wanted| takes(wanted, name)) {
                changed.push(versions);
            }
        }
        changed
    }
}

fn shown(stored: StoredSecret, users: &BTreeMap<SecretName, Vec<String>>) -> Secret {
    let StoredSecret {
        name,
        created_at,
        updated_at,
    } = stored;
    Secret {
        used_by: users.get(&name).cloned().unwrap_or_default(),
        created_at: Some(created_at),
        updated_at: Some(updated_at),
        name,
    }
}

fn takes(wanted: &Wanted, name: &SecretName) -> bool {
    match wanted {
        Wanted::Run { config, .. } => config.stored_secrets().contains(name),
        Wanted::Describe { .. } | Wanted::Missing { .. } => false,
    }
}
