//! One test binary: what the plugins of this repository become, and whether what
//! is written about them is right.

mod components;
mod documentation;

use std::{env, path::PathBuf};

/// Of the clone that runs, which need not be the one that was compiled: clones share
/// what they build. Cargo runs tests in the folder of their crate.
fn repository() -> PathBuf {
    let build = env::current_dir().expect("a folder");
    let root = build.ancestors().nth(2).expect("sdk/build is two deep");
    root.to_owned()
}
