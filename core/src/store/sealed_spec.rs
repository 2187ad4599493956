use serde::{Deserialize, Serialize};

use super::{Keyring, SealError};
use crate::model::{Lane, Spec};

/// A specification as it may be stored: values of secrets are sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedSpec(Spec);

impl SealedSpec {
    /// Seals the secrets of `spec`. One that comes without a value keeps the
    /// one it has in `before`; the names of those that have none are the error.
    pub fn seal(
        mut spec: Spec,
        before: Option<&Self>,
        lane: &Lane,
        keyring: &Keyring,
    ) -> Result<Self, Vec<String>> {
        let mut missing = Vec::new();
        for entry in spec.env.iter_mut().filter(|entry| entry.secret) {
            entry.value = match &entry.value {
                Some(value) => Some(keyring.seal(&purpose(lane, &entry.name), value)),
                None => before.and_then(|before| before.sealed_value(&entry.name)),
            };
            if entry.value.is_none() {
                missing.push(entry.name.clone());
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
        for entry in spec.env.iter_mut().filter(|entry| entry.secret) {
            if let Some(sealed) = &entry.value {
                entry.value = Some(keyring.open_sealed(&purpose(lane, &entry.name), sealed)?);
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
        for entry in spec.env.iter_mut().filter(|entry| entry.secret) {
            let purpose = purpose(lane, &entry.name);
            entry.value = entry.value.as_ref().map(|value| new.seal(&purpose, value));
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

    pub fn with_image(&self, image: String) -> Self {
        let mut spec = self.0.clone();
        spec.image = image;
        Self(spec)
    }

    fn sealed_value(&self, name: &str) -> Option<String> {
        let entry = self
            .0
            .env
            .iter()
            .find(|entry| entry.secret && entry.name == name)?;
        entry.value.clone()
    }
}

fn purpose(lane: &Lane, name: &str) -> String {
    format!("env:{lane}:{name}")
}
