use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why there is no component, and what to do about it.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("`{0}` has no Cargo.toml: name the folder of a plugin crate")]
    NoCrate(PathBuf),

    #[error("`{program}` does not start: {source}; install Rust from https://rustup.rs")]
    NoCargo { program: String, source: io::Error },

    #[error("cargo cannot read `{manifest}`: {message}")]
    Manifest { manifest: PathBuf, message: String },

    #[error(
        "`{0}` is no plugin crate: add to its Cargo.toml `[lib]` with `crate-type = [\"cdylib\"]`"
    )]
    NotACdylib(String),

    #[error(
        "there is no Rust std for wasm32-unknown-unknown: run `rustup target add wasm32-unknown-unknown`, \
         or on Debian and Ubuntu `apt-get install --no-install-recommends rustc-web cargo-web rust-web-src lld-19`"
    )]
    NoStd,

    #[error(
        "the active toolchain has no std for wasm32-unknown-unknown: run `rustup target add wasm32-unknown-unknown`"
    )]
    NoToolchainStd,

    #[error(
        "`{missing}` is missing: run `apt-get install --no-install-recommends rustc-web cargo-web rust-web-src lld-19`"
    )]
    NoDebianStd { missing: PathBuf },

    #[error("`{0}` does not compile: see what cargo says above")]
    Compile(String),

    #[error(
        "`{0}` exports nothing: call one of `export_filter!`, `export_enricher!`, `export_sink!` \
         of the crate `tiny-forge-plugin`"
    )]
    NoRole(String),

    #[error(
        "`{package}` imports {imports}, which tiny-forge does not offer: there is no WASI; \
         use `http`, `store`, `clock`, `sign` and `log` of the crate `tiny-forge-plugin`, \
         and remove dependencies that need an operating system"
    )]
    ForeignImports { package: String, imports: String },

    #[error("`{package}` cannot be made a component: {message}")]
    Component { package: String, message: String },

    #[error("cannot {verb} `{path}`: {source}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl BuildError {
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { verb, path, source }
    }
}
