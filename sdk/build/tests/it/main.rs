//! One test binary: what the plugins of this repository become, and whether what
//! is written about them is right.

mod components;
mod documentation;

use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    let build = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = build.ancestors().nth(2).expect("sdk/build is two deep");
    root.to_owned()
}
