use std::{
    fs,
    path::{Path, PathBuf},
};

use super::target::Target;

/// What `make plugins` has built, by name.
pub fn built(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let places = [root.join("plugins/dist"), root.join("examples/dist")];
    let file = format!("{name}.wasm");
    let found = places
        .iter()
        .map(|place| place.join(&file))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{file} is not built: run `make plugins` first"))
}

/// Puts a file where a server looks for plugins, as an editor does: whole.
pub fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::create_dir_all(folder).expect("the folder can be made");
    let unfinished = folder.join(format!(".{name}.new"));
    fs::write(&unfinished, content).expect("written");
    fs::rename(unfinished, folder.join(name)).expect("renamed");
}

/// A copy of a built plugin under another name.
pub fn put_built(folder: &Path, plugin: &str, name: &str) {
    put(
        folder,
        name,
        fs::read(built(plugin)).expect("it can be read"),
    );
}

/// A `[plugin.NAME]` that posts unsigned events to `target`.
pub fn webhook(name: &str, file: &str, target: &Target) -> String {
    let origin = target.origin();
    format!(
        "[plugin.{name}]\nfile = \"{file}\"\nconfig.url = \"{origin}/{name}\"\nconfig.sign_with = []\n\
         grants.http = [\"{origin}\"]\ngrants.networks = [\"127.0.0.1/32\"]\n"
    )
}
