//! The file of each plugin as it was last taken, so that a restart is no approval of
//! another one: below `accepted/` in the data directory, as `NAME/DIGEST.wasm`.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use crate::plugin_host::config::{PluginConfig, Source};

/// Cheap to clone.
#[derive(Clone)]
pub struct KeptFiles(Arc<Place>);

struct Place {
    folder: PathBuf,
    /// One at a time: a copy goes on when nobody waits for it any more, and is to be over
    /// before the next one of its plugin.
    copying: Mutex<()>,
}

/// What a plugin ran with when it was last taken.
pub(super) struct Kept {
    pub folder: PathBuf,
    pub digest: String,
}

impl KeptFiles {
    pub fn new(folder: PathBuf) -> Self {
        Self(Arc::new(Place {
            folder,
            copying: Mutex::default(),
        }))
    }

    pub(super) async fn find(&self, plugin: &str) -> Option<Kept> {
        let folder = self.0.folder.join(plugin);
        let find = move || {
            let digest = digests(&folder).next()?;
            Some(Kept { folder, digest })
        };
        tokio::task::spawn_blocking(find).await.ok().flatten()
    }

    /// Keeps a copy of the file that is taken, in place of the one before; false where
    /// the file is another one by now. Where it cannot be written the plugin runs as
    /// well; only a restart takes whatever file is there.
    pub(super) async fn keep(&self, plugin: &str, file: PathBuf, digest: &str) -> bool {
        let (place, name, digest) = (self.0.clone(), plugin.to_owned(), digest.to_owned());
        let asking = Arc::new(());
        let asked = Arc::downgrade(&asking);
        let keep = move || {
            let _one = place.copying.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.strong_count() == 0 {
                // Another file is wanted by now.
                return false;
            }
            let folder = place.folder.join(&name);
            keep(&folder, &file, &digest).unwrap_or_else(|error| {
                tracing::warn!(%error, plugin = name, "its file could not be kept for a restart");
                true
            })
        };
        // It does not panic.
        let kept = tokio::task::spawn_blocking(keep).await.unwrap_or(true);
        drop(asking);
        kept
    }

    /// Plugins of which a file is kept.
    pub async fn names(&self) -> Vec<String> {
        let place = self.0.clone();
        let names = move || {
            let entries = fs::read_dir(&place.folder).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name());
            names.filter_map(|name| name.into_string().ok()).collect()
        };
        tokio::task::spawn_blocking(names).await.unwrap_or_default()
    }

    pub async fn forget(&self, plugin: &str) {
        let folder = self.0.folder.join(plugin);
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, plugin, "its kept file is forgotten later");
            }
            _ => {}
        }
    }
}

impl Kept {
    /// The same configuration, for this file, if it is what its name says. A pin is for
    /// what is in the plugins folder: this file has been taken already.
    pub(super) fn configure(&self, config: &PluginConfig) -> PluginConfig {
        PluginConfig {
            source: Source::File(file_name(&self.digest)),
            sha256: Some(self.digest.clone()),
            ..config.clone()
        }
    }
}

fn keep(folder: &Path, file: &Path, digest: &str) -> io::Result<bool> {
    let path = folder.join(file_name(digest));
    if path.exists() {
        // What was there before may have outlived a kill.
        remove_others(folder, digest)?;
        return Ok(true);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let wasm = fs::read(file)?;
    if hex::encode(Sha256::digest(&wasm)) != digest {
        return Ok(false);
    }
    let unfinished = folder.join("unfinished");
    let mut copy = fs::File::create(&unfinished)?;
    copy.write_all(&wasm)?;
    copy.sync_all()?;
    fs::rename(unfinished, path)?;
    remove_others(folder, digest)?;
    Ok(true)
}

fn remove_others(folder: &Path, digest: &str) -> io::Result<()> {
    digests(folder)
        .filter(|other| other != digest)
        .try_for_each(|other| fs::remove_file(folder.join(file_name(&other))))
}

fn digests(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name();
        Some(name.to_str()?.strip_suffix(".wasm")?.to_owned())
    })
}

fn file_name(digest: &str) -> String {
    format!("{digest}.wasm")
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    #[tokio::test]
    async fn a_copy_that_nobody_waits_for_any_more_takes_no_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let kept = KeptFiles::new(dir.path().join("accepted"));
        let file = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, name).expect("written");
            (path, hex::encode(Sha256::digest(name)))
        };
        let ((first, first_digest), (second, second_digest)) = (file("first"), file("second"));
        {
            let _slow = kept.0.copying.lock().expect("nobody has it");
            let copying = pin!(kept.keep("hook", first, &first_digest));
            let begun = copying.poll(&mut Context::from_waker(Waker::noop()));
            assert!(begun.is_pending());
        }
        assert!(kept.keep("hook", second, &second_digest).await);
        let found = kept.find("hook").await.expect("one is kept");
        assert_eq!(found.digest, second_digest);
        let names = fs::read_dir(found.folder).expect("a folder").flatten();
        let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
        assert_eq!(names, [file_name(&second_digest).as_str()]);
    }
}
