use serde::{Deserialize, Serialize};

use sha2::{Digest, Sha256};

use super::{Keyring, SealError, StoreError};
use crate::model::{ImageName, Lane, RestartPolicy, Spec};

/// A specification as it may be stored: values of secrets are sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedSpec(Spec);

/// Where a specification has a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretField {
    /// JSON pointer.
    pub field: String,
    /// Variable, or whose password it is.
    pub name: String,
    purpose: String,
}

impl SealedSpec {
    /// Seals the secrets of `spec`. One that comes without a value keeps the
    /// one it has in `before`; those that have none are the error.
    pub fn seal(
        mut spec: Spec,
        before: Option<&Self>,
        lane: &Lane,
        keyring: &Keyring,
    ) -> Result<Self, Vec<SecretField>> {
        let mut missing = Vec::new();
        for (secret, value) in secrets(&mut spec, lane) {
            *value = match value {
                Some(value) => Some(keyring.seal(&secret.purpose, value)),
                None => before.and_then(|before| before.sealed_value(&secret, lane)),
            };
            if value.is_none() {
                missing.push(secret);
            }
        }
        if missing.is_empty() {
            Ok(Self(spec))
        } else {
            Err(missing)
        }
    }

    /// With the values of its secrets: for the engine only.
    pub fn open(&self, lane: &Lane, keyring: &Keyring) -> Result<Spec, SealError> {
        let mut spec = self.0.clone();
        for (secret, value) in secrets(&mut spec, lane) {
            if let Some(sealed) = value {
                *value = Some(keyring.open_sealed(&secret.purpose, sealed)?);
            }
        }
        Ok(spec)
    }

    /// The same, under another key.
    pub(super) fn reseal(
        &self,
        lane: &Lane,
        old: &Keyring,
        new: &Keyring,
    ) -> Result<Self, SealError> {
        let mut spec = self.open(lane, old)?;
        for (secret, value) in secrets(&mut spec, lane) {
            *value = value.as_ref().map(|value| new.seal(&secret.purpose, value));
        }
        Ok(Self(spec))
    }

    /// Without any value of a secret: fit to be shown.
    pub fn masked(&self) -> Spec {
        self.0.masked()
    }

    pub fn image(&self) -> &str {
        &self.0.image
    }

    pub fn bake_ms(&self) -> u64 {
        self.0.bake_ms
    }

    pub fn restart(&self) -> RestartPolicy {
        self.0.restart
    }

    /// A login is for one registry, and goes to no other.
    pub fn with_image(&self, image: String) -> Self {
        let mut spec = self.0.clone();
        if ImageName::parse(&image).registry != ImageName::parse(&spec.image).registry {
            spec.registry_auth = None;
        }
        spec.image = image;
        Self(spec)
    }

    /// Tells it from any other, and nothing of it.
    pub fn fingerprint(&self) -> Result<String, StoreError> {
        Ok(hex::encode(Sha256::digest(serde_json::to_vec(&self.0)?)))
    }

    fn sealed_value(&self, wanted: &SecretField, lane: &Lane) -> Option<String> {
        let mut spec = self.0.clone();
        let found = secrets(&mut spec, lane).find(|(secret, _)| secret.purpose == wanted.purpose);
        found.and_then(|(_, value)| value.take())
    }
}

/// Every secret of a specification, opened or sealed, and its value.
fn secrets<'a>(
    spec: &'a mut Spec,
    lane: &Lane,
) -> impl Iterator<Item = (SecretField, &'a mut Option<String>)> {
    let variables = spec.env.iter_mut().enumerate();
    let variables = variables.filter(|(_, entry)| entry.secret);
    let variables = variables.map(move |(place, entry)| {
        let secret = SecretField {
            field: format!("/env/{place}/value"),
            name: entry.name.clone(),
            purpose: format!("env:{lane}:{}", entry.name),
        };
        (secret, &mut entry.value)
    });
    let registry = ImageName::parse(&spec.image).registry.to_owned();
    let registry = spec.registry_auth.iter_mut().map(move |auth| {
        let secret = SecretField {
            field: "/registry_auth/password".to_owned(),
            name: auth.username.clone(),
            purpose: format!("registry:{lane}:{registry}"),
        };
        (secret, &mut auth.password)
    });
    variables.chain(registry)
}
