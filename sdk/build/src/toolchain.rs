//! Whose Rust std for wasm32-unknown-unknown to use. The active toolchain's comes
//! first: it is there after `rustup target add`. Debian has none ready, but its
//! packages hold a compiler and the sources to build one from.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BuildError;

/// What plugins are compiled for: no operating system, so no WASI.
pub const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/Cargo.lock";

/// Where the std may come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Std {
    /// The active toolchain's if it has one, else Debian's.
    #[default]
    Auto,
    /// Only what `rustup target add wasm32-unknown-unknown` installs.
    Toolchain,
    /// Only Debian's packages rustc-web, cargo-web, rust-web-src and lld-19.
    Debian,
}

/// A compiler that has a std, or builds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toolchain {
    Active,
    Debian,
}

pub(crate) fn find(std: Std) -> Result<Toolchain, BuildError> {
    match std {
        Std::Toolchain if active_has_std() => Ok(Toolchain::Active),
        Std::Toolchain => Err(BuildError::NoToolchainStd),
        Std::Debian => match missing_of_debian() {
            None => Ok(Toolchain::Debian),
            Some(missing) => Err(BuildError::NoDebianStd { missing }),
        },
        Std::Auto if active_has_std() => Ok(Toolchain::Active),
        Std::Auto if missing_of_debian().is_none() => Ok(Toolchain::Debian),
        Std::Auto => Err(BuildError::NoStd),
    }
}

impl Toolchain {
    /// Toolchains do not share compiled crates, nor target folders.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "toolchain",
            Self::Debian => "debian",
        }
    }

    /// `cargo build`, for the plugins' target.
    pub(crate) fn cargo_build(self) -> Command {
        match self {
            Self::Active => {
                let mut cargo = Command::new("cargo");
                cargo.args(["build", "--target", TARGET]);
                cargo
            }
            Self::Debian => {
                let mut cargo = Command::new(DEBIAN_CARGO);
                cargo
                    .args(["build", "--target", TARGET, "-Zbuild-std=std,panic_abort"])
                    .env("RUSTC", DEBIAN_RUSTC)
                    // Building std is for nightly compilers, unless told otherwise.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
                cargo
            }
        }
    }
}

fn active_has_std() -> bool {
    let answer = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    answer.is_ok_and(|answer| {
        let folder = String::from_utf8_lossy(&answer.stdout);
        answer.status.success() && Path::new(folder.trim()).is_dir()
    })
}

fn missing_of_debian() -> Option<PathBuf> {
    [DEBIAN_CARGO, DEBIAN_RUSTC, DEBIAN_SOURCES, DEBIAN_LINKER]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| !path.exists())
}
