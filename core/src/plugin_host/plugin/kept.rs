//! The file of each plugin as it was last taken, so that a restart is no approval of
//! another one: below `accepted/` in the data directory, as `NAME/DIGEST.wasm`.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use crate::plugin_host::config::{PluginConfig, Source};

/// Cheap to clone.
#[derive(Clone)]
pub struct KeptFiles(Arc<Path>);

/// What a plugin ran with when it was last taken.
pub(super) struct Kept {
    pub folder: PathBuf,
    pub digest: String,
}

impl KeptFiles {
    pub fn new(folder: PathBuf) -> Self {
        Self(folder.into())
    }

    pub(super) async fn find(&self, plugin: &str) -> Option<Kept> {
        let folder = self.0.join(plugin);
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
        let (folder, name, digest) = (self.0.join(plugin), plugin.to_owned(), digest.to_owned());
        let keep = move || {
            keep(&folder, &file, &digest).unwrap_or_else(|error| {
                tracing::warn!(%error, plugin = name, "its file could not be kept for a restart");
                true
            })
        };
        // It does not panic.
        tokio::task::spawn_blocking(keep).await.unwrap_or(true)
    }

    /// Plugins of which a file is kept.
    pub async fn names(&self) -> Vec<String> {
        let folder = self.0.clone();
        let names = move || {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name());
            names.filter_map(|name| name.into_string().ok()).collect()
        };
        tokio::task::spawn_blocking(names).await.unwrap_or_default()
    }

    pub async fn forget(&self, plugin: &str) {
        let folder = self.0.join(plugin);
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, plugin, "its kept file is forgotten later");
            }
            _ => {}
        }
    }
}

impl Kept {
    /// The same configuration, for this file.
    pub(super) fn configure(&self, config: &PluginConfig) -> PluginConfig {
        PluginConfig {
            source: Source::File(file_name(&self.digest)),
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
