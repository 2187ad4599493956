//! The values of a plugin's secrets: from the environment, a file, or the sealed store.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync;

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
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Whose turn it is to read a file. One that gives no answer, as on a mount that hangs, takes
/// a thread for as long as it does that, and not another one each time it is asked.
#[derive(Clone, Default)]
pub struct SecretFiles(Arc<Mutex<BTreeMap<PathBuf, Arc<sync::Mutex<()>>>>>);

/// From where each is configured to be.
pub(super) async fn read(
    configured: &BTreeMap<String, SecretConfig>,
    sealed: &SealedSecrets,
    files: &SecretFiles,
) -> Result<Secrets, PrepareError> {
    let mut values = Vec::new();
    for (name, SecretConfig { source, to }) in configured {
        let value = value(source, sealed, files).await;
        let value = value.map_err(|reason| PrepareError::Secret {
            name: name.clone(),
            reason,
        })?;
        let to = to.clone();
        values.push((name.clone(), SecretValue { value, to }));
    }
    Secrets::new(values).map_err(PrepareError::SecretTo)
}

async fn value(
    source: &SecretSource,
    sealed: &SealedSecrets,
    files: &SecretFiles,
) -> Result<String, String> {
    match source {
        SecretSource::Environment(variable) => config::environment(variable)
            .ok_or_else(|| format!("the environment variable {variable} is not set")),
        SecretSource::File(path) => files.read(path).await,
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

impl SecretFiles {
    async fn read(&self, path: &Path) -> Result<String, String> {
        let (turn, wanted) = (self.turn(path), path.to_owned());
        let reading = async {
            let turn = turn.lock_owned().await;
            let read = move || {
                let _turn = turn;
                read_file(&wanted)
            };
            tokio::task::spawn_blocking(read).await
        };
        match tokio::time::timeout(FILE_TIMEOUT, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(panic)) => Err(format!("{} cannot be read: {panic}", path.display())),
            Err(_) => Err(format!("{} cannot be read in time", path.display())),
        }
    }

    fn turn(&self, path: &Path) -> Arc<sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(path.to_owned()).or_default().clone()
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let unreadable = |error| format!("{} cannot be read: {error}", path.display());
    // A pipe would be waited for.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    if read.map_err(unreadable)? as u64 > FILE_BYTES_MAX {
        return Err(format!(
            "{} is longer than {} KiB",
            path.display(),
            FILE_BYTES_MAX >> 10
        ));
    }
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    #[tokio::test]
    async fn a_secret_is_read_from_a_file_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = SecretFiles::default();
        for (content, expected) in [
            ("token\n".to_owned(), Ok("token".to_owned())),
            ("\r\n".to_owned(), Err("is empty")),
            ("x".repeat(70_000), Err("is longer than 64 KiB")),
        ] {
            let path = dir.path().join("secret");
            fs::write(&path, content).expect("written");
            let read = files.read(&path).await;
            match expected {
                Ok(value) => assert_eq!(read, Ok(value)),
                Err(why) => assert!(read.expect_err("refused").ends_with(why)),
            }
        }
        let folder = files.read(dir.path()).await.expect_err("refused");
        assert!(folder.ends_with("is no file"), "{folder}");
    }

    #[tokio::test]
    async fn a_file_is_read_by_one_thread_at_a_time_and_for_all_who_ask() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("secret");
        fs::write(&path, "token").expect("written");
        let files = SecretFiles::default();
        let (one, other) = tokio::join!(files.read(&path), files.read(&path));
        assert_eq!(
            (one.as_deref(), other.as_deref()),
            (Ok("token"), Ok("token"))
        );

        // As long as it gives no answer.
        let asked = files.turn(&path).lock_owned().await;
        let mut waiting = pin!(files.read(&path));
        let polled = waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        fs::write(&path, "another").expect("written");
        drop(asked);
        assert_eq!(waiting.await.as_deref(), Ok("another"));
    }
}
