use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::config::{FileConfig, FileError, PipelineConfig, PluginConfig};

/// A file whose last change is younger may still be being written.
const SETTLED_AFTER: Duration = Duration::from_millis(200);

/// A configuration file is not longer than this.
const TOML_BYTES_MAX: u64 = 1 << 20;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
    /// Also of its owner and its rights: who could not read it may by then. Seconds, and
    /// nanoseconds in that second.
    changed: (i64, i64),
}

/// The plugins folder as it was last seen. A configuration file that cannot be
/// used leaves what it said before in force.
pub struct Folder {
    path: PathBuf,
    tomls: BTreeMap<String, TomlFile>,
    view: View,
}

struct TomlFile {
    stamp: Stamp,
    /// The last version that could be used.
    config: FileConfig,
    error: Option<FileError>,
}

/// What the folder asks for.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub plugins: BTreeMap<String, PluginConfig>,
    pub pipelines: BTreeMap<String, PipelineConfig>,
    /// All `.wasm` files that have settled.
    pub wasm: BTreeMap<String, Stamp>,
    pub errors: Vec<FileError>,
}

impl Folder {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            tomls: BTreeMap::new(),
            view: View::default(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    /// Looks again. True when every file has settled; else it is worth looking
    /// once more in a moment. Blocks: not for async threads.
    pub fn scan(&mut self) -> io::Result<bool> {
        let (mut settled, mut unreadable) = (true, Vec::new());
        let (mut wasm, mut tomls) = (BTreeMap::new(), BTreeMap::new());
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_toml = name.ends_with(".toml");
            if name.starts_with('.') || !(is_toml || name.ends_with(".wasm")) {
                continue;
            }
            // A link leads to the file that counts; one that leads nowhere is no file.
            let metadata = match fs::metadata(entry.path()) {
                Ok(metadata) if metadata.is_file() => metadata,
                Ok(_) => continue,
                Err(error) => {
                    // Nor is one that has just gone; but what a file says that cannot be
                    // read is not known to be said no longer.
                    if is_toml && !(error.kind() == io::ErrorKind::NotFound && is_plain(&entry)) {
                        unreadable.push(FileError {
                            file: name,
                            line: None,
                            message: format!("it cannot be read: {error}"),
                        });
                    }
                    continue;
                }
            };
            let stamp = Stamp::of(&metadata);
            if stamp.is_settled() {
                let found = if is_toml { &mut tomls } else { &mut wasm };
                found.insert(name, stamp);
                continue;
            }
            settled = false;
            // Until then what was known of it stays.
            match (is_toml, self.view.wasm.get(&name)) {
                (false, Some(before)) => drop(wasm.insert(name, *before)),
                (false, None) => {}
                (true, _) => {
                    if let Some(before) = self.tomls.get(&name) {
                        tomls.insert(name, before.stamp);
                    }
                }
            }
        }
        self.read_tomls(tomls);
        self.merge(wasm, unreadable);
        Ok(settled)
    }

    fn read_tomls(&mut self, found: BTreeMap<String, Stamp>) {
        self.tomls.retain(|name, _| found.contains_key(name));
        for (name, stamp) in found {
            if self
                .tomls
                .get(&name)
                .is_some_and(|known| known.stamp == stamp)
            {
                continue;
            }
            let parsed = read_toml(&self.path.join(&name), stamp.bytes)
                .map_err(|message| FileError {
                    file: name.clone(),
                    line: None,
                    message,
                })
                .and_then(|text| FileConfig::parse(&name, &text));
            let before = self.tomls.remove(&name);
            let (config, error) = match parsed {
                Ok(config) => (config, None),
                Err(error) => {
                    tracing::warn!(%error, "a configuration file of plugins was not taken");
                    let kept = before.map(|before| before.config).unwrap_or_default();
                    (kept, Some(error))
                }
            };
            self.tomls.insert(
                name,
                TomlFile {
                    stamp,
                    config,
                    error,
                },
            );
        }
    }

    /// One namespace over all files; who comes first by file name wins.
    fn merge(&mut self, wasm: BTreeMap<String, Stamp>, errors: Vec<FileError>) {
        let mut view = View {
            wasm,
            errors,
            ..View::default()
        };
        for (file, toml) in &self.tomls {
            view.errors.extend(toml.error.clone());
            let twice = |kind: &str, name: &str| FileError {
                file: file.clone(),
                line: None,
                message: format!("{kind}.{name} is configured in another file already"),
            };
            for (name, plugin) in &toml.config.plugins {
                if view.plugins.contains_key(name) {
                    view.errors.push(twice("plugin", name));
                } else {
                    view.plugins.insert(name.clone(), plugin.clone());
                }
            }
            for (name, pipeline) in &toml.config.pipelines {
                if view.pipelines.contains_key(name) {
                    view.errors.push(twice("pipeline", name));
                } else {
                    view.pipelines.insert(name.clone(), pipeline.clone());
                }
            }
        }
        view.errors = by_file(view.errors);
        self.view = view;
    }
}

impl Stamp {
    pub fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// A time in the future counts as settled: clocks step.
    fn is_settled(&self) -> bool {
        let age = self.modified.map(|at| SystemTime::now().duration_since(at));
        !matches!(age, Some(Ok(age)) if age < SETTLED_AFTER)
    }
}

/// All that is wrong with a file as one error.
fn by_file(errors: Vec<FileError>) -> Vec<FileError> {
    let mut files: BTreeMap<String, FileError> = BTreeMap::new();
    for error in errors {
        match files.get_mut(&error.file) {
            Some(first) => first.message = format!("{}; {}", first.message, error.message),
            None => drop(files.insert(error.file.clone(), error)),
        }
    }
    files.into_values().collect()
}

fn is_plain(entry: &fs::DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_file())
}

fn read_toml(path: &Path, bytes: u64) -> Result<String, String> {
    if bytes > TOML_BYTES_MAX {
        return Err(format!(
            "{bytes} bytes are over the limit of {TOML_BYTES_MAX} for a configuration"
        ));
    }
    fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Folder;

    /// Scans until nothing is being written any more.
    fn scan(folder: &mut Folder) {
        while !folder.scan().expect("the folder can be read") {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_broken_file_leaves_what_it_said_before_in_force() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut folder = Folder::new(dir.path().to_owned());
        let toml = dir.path().join("a.toml");
        fs::write(&toml, "[plugin.x]\nfile = \"x.wasm\"\n").expect("written");
        scan(&mut folder);
        assert!(folder.view().plugins.contains_key("x"));
        fs::write(&toml, "[plugin.x]\nfile = \"x.w").expect("written");
        scan(&mut folder);
        assert!(folder.view().plugins.contains_key("x"));
        assert!(
            folder.view().errors[0]
                .to_string()
                .starts_with("a.toml, line 2")
        );
        fs::remove_file(&toml).expect("removed");
        scan(&mut folder);
        assert!(folder.view().plugins.is_empty() && folder.view().errors.is_empty());
    }

    #[test]
    fn names_in_two_files_are_an_error_of_the_second() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut folder = Folder::new(dir.path().to_owned());
        for file in ["a.toml", "b.toml"] {
            let text = "[pipeline.x]\nsinks = [\"s\"]\n[plugin.s]\nfile = \"s.wasm\"\n";
            fs::write(dir.path().join(file), text).expect("written");
        }
        scan(&mut folder);
        let errors: Vec<String> = folder
            .view()
            .errors
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            errors,
            [
                "b.toml: plugin.s is configured in another file already; pipeline.x is \
                 configured in another file already"
            ]
        );
    }
}
