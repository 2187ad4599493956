use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use bytes::Bytes;

use crate::{plugin_host::sandbox, store::Keyring};

const MAC_BYTES: usize = 32;
/// More than anybody has plugins; the oldest make room.
const FILES_MAX: usize = 64;
const ENDING: &str = "cwasm";

/// Machine code by the digest it was made from. Code from elsewhere would be run
/// as it is, so each file carries a MAC of its name and bytes.
#[derive(Clone)]
pub(super) struct Cache {
    folder: PathBuf,
    keyring: Arc<Keyring>,
}

/// What there is under a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cached {
    Ours(Bytes),
    /// Somebody else's, or damaged.
    Foreign,
    Nothing,
}

impl Cache {
    pub(super) fn new(folder: PathBuf, keyring: Arc<Keyring>) -> Self {
        Self { folder, keyring }
    }

    /// Anything wrong with a file is a miss: it can always be compiled again.
    pub(super) async fn read(&self, digest: &str) -> Cached {
        let (cache, Some(name)) = (self.clone(), self.file_name(digest)) else {
            return Cached::Nothing;
        };
        let read = tokio::task::spawn_blocking(move || cache.read_verified(&name));
        read.await.unwrap_or(Cached::Nothing)
    }

    /// Hands the code back; without the file it is compiled again next time.
    pub(super) async fn write(&self, digest: &str, code: Bytes) -> Bytes {
        let (cache, Some(name)) = (self.clone(), self.file_name(digest)) else {
            return code;
        };
        let written = tokio::task::spawn_blocking(move || {
            let result = cache.write_atomically(&name, &code);
            if let Err(error) = result.and_then(|()| cache.prune()) {
                let folder = cache.folder.display();
                tracing::warn!(%error, %folder, "compiled code could not be cached");
            }
            code
        });
        written.await.expect("writing a file does not panic")
    }

    pub(super) async fn remove(&self, digest: &str) {
        let Some(name) = self.file_name(digest) else {
            return;
        };
        let path = self.folder.join(name);
        let removed = tokio::task::spawn_blocking(move || remove(&path)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "compiled code that does not load stays in the cache");
        }
    }

    /// Also of the key: what was written with another one, before it was rotated, is not
    /// ours any more, and nobody has tampered with it.
    fn file_name(&self, digest: &str) -> Option<String> {
        let made_for = made_for()?;
        let key = self.keyring.id();
        Some(format!("{digest}-{made_for:016x}-{key}.{ENDING}"))
    }

    fn read_verified(&self, name: &str) -> Cached {
        let path = self.folder.join(name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, path = %path.display(), "cached code cannot be read");
                }
                return Cached::Nothing;
            }
        };
        let verified = bytes
            .split_at_checked(MAC_BYTES)
            .is_some_and(|(mac, code)| self.keyring.verify(&purpose(name), code, mac));
        if !verified {
            let path = path.display();
            tracing::warn!(%path, "cached code is not what this server wrote: compiling it again");
            return Cached::Foreign;
        }
        // Megabytes, perhaps: shared, not copied.
        Cached::Ours(bytes.slice(MAC_BYTES..))
    }

    fn write_atomically(&self, name: &str, code: &[u8]) -> io::Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let path = self.folder.join(name);
        let unfinished = path.with_extension("new");
        let mut file = File::create(&unfinished)?;
        file.write_all(&self.keyring.mac(&purpose(name), code))?;
        file.write_all(code)?;
        std::fs::rename(&unfinished, &path)
    }

    fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                let written = entry
                    .metadata()?
                    .modified()
                    .unwrap_or(SystemTime::UNIX_EPOCH);
                files.push((written, path));
            }
        }
        files.sort();
        let surplus = files.len().saturating_sub(FILES_MAX);
        files
            .iter()
            .take(surplus)
            .try_for_each(|(_, path)| remove(path))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A file moved over another's name is not that other.
fn purpose(name: &str) -> String {
    format!("cwasm:{name}")
}

/// What code is compiled for: version and settings of the engine, and the machine. `None`
/// where there is no engine.
fn made_for() -> Option<u64> {
    /// The same as long as this process lives.
    static MADE_FOR: OnceLock<Option<u64>> = OnceLock::new();
    *MADE_FOR.get_or_init(|| {
        let engine = sandbox::engine().ok()?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Some(hasher.finish())
    })
}

#[cfg(test)]
mod tests {
    use super::{Arc, Bytes, Cache, Cached, Keyring};

    #[tokio::test]
    async fn a_tampered_or_renamed_file_is_a_miss() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let keyring = Arc::new(Keyring::open(dir.path()).expect("new key"));
        let cache = Cache::new(dir.path().to_owned(), keyring);
        let path = |digest| dir.path().join(cache.file_name(digest).expect("a name"));

        let code = Bytes::from_static(&[1, 2, 3]);
        assert_eq!(cache.read("aa").await, Cached::Nothing);
        assert_eq!(cache.write("aa", code.clone()).await, code);
        assert_eq!(cache.read("aa").await, Cached::Ours(code));

        std::fs::copy(path("aa"), path("bb")).expect("a copy");
        assert_eq!(cache.read("bb").await, Cached::Foreign);

        let mut bytes = std::fs::read(path("aa")).expect("a file");
        *bytes.last_mut().expect("a byte") ^= 1;
        std::fs::write(path("aa"), bytes).expect("tampered");
        assert_eq!(cache.read("aa").await, Cached::Foreign);
        std::fs::write(path("aa"), b"short").expect("cut");
        assert_eq!(cache.read("aa").await, Cached::Foreign);
    }

    #[tokio::test]
    async fn what_was_written_before_the_key_was_rotated_is_not_taken_for_tampered() {
        let keys = [(); 2].map(|()| tempfile::tempdir().expect("temporary directory"));
        let folder = tempfile::tempdir().expect("temporary directory");
        let [before, after] = keys.each_ref().map(|dir| {
            let keyring = Keyring::open(dir.path()).expect("new key");
            Cache::new(folder.path().to_owned(), Arc::new(keyring))
        });
        before.write("aa", Bytes::from_static(&[1])).await;
        assert_eq!(after.read("aa").await, Cached::Nothing);
    }

    #[tokio::test]
    async fn the_oldest_files_make_room() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let keyring = Arc::new(Keyring::open(dir.path()).expect("new key"));
        let cache = Cache::new(dir.path().to_owned(), keyring);
        for number in 0..70 {
            cache.write(&number.to_string(), vec![number].into()).await;
        }
        let files = std::fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(files, super::FILES_MAX + 1, "and the key");
        assert_eq!(cache.read("69").await, Cached::Ours(vec![69].into()));
    }
}
