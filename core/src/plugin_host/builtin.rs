//! The first-party plugins, embedded at build time.

use std::borrow::Cow;

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../plugins/dist"]
#[allow_missing = true]
struct Builtins;

/// The component called `name`.
pub fn read(name: &str) -> Option<Cow<'static, [u8]>> {
    Some(Builtins::get(&format!("{name}.wasm"))?.data)
}

/// What can follow `builtin:`.
pub fn names() -> Vec<String> {
    let names = Builtins::iter();
    names
        .filter_map(|file| Some(file.strip_suffix(".wasm")?.to_owned()))
        .collect()
}
