//! What cargo knows about a crate, and what it makes of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde::Deserialize;

use crate::BuildError;
use crate::toolchain::Toolchain;

/// A plugin crate.
#[derive(Debug)]
pub(crate) struct PluginCrate {
    pub(crate) package: String,
    pub(crate) manifest: PathBuf,
    /// Where cargo puts results for this crate.
    pub(crate) target_dir: PathBuf,
}

impl PluginCrate {
    pub(crate) fn name(&self) -> &str {
        self.package
            .strip_prefix("tiny-forge-plugin-")
            .unwrap_or(&self.package)
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

impl Target {
    fn is_cdylib(&self) -> bool {
        self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

/// One line of `cargo build --message-format=json`, as far as we care.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        manifest_path: PathBuf,
        target: Target,
        filenames: Vec<PathBuf>,
    },
    #[serde(other)]
    Other,
}

/// A profile for small components, whatever the crate's own says, but for the crate itself
/// and what it instantiates, which each call goes through ([`fast`]). The names of
/// functions stay, a sixth of the size: a backtrace without them tells nobody anything.
const PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
];

/// Flags that are meant for the machine we run on, not for wasm32.
const FOREIGN_FLAGS: [&str; 3] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
];

pub(crate) fn describe(crate_dir: &Path) -> Result<PluginCrate, BuildError> {
    let manifest = fs::canonicalize(crate_dir.join("Cargo.toml"))
        .map_err(|_| BuildError::NoCrate(crate_dir.to_owned()))?;
    let unreadable = |message: String| BuildError::Manifest {
        manifest: manifest.clone(),
        message,
    };

    let answer = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .arg("--manifest-path")
        .arg(&manifest)
        .output()
        .map_err(no_cargo("cargo"))?;
    if !answer.status.success() {
        let message = String::from_utf8_lossy(&answer.stderr);
        return Err(unreadable(message.trim().to_owned()));
    }
    let metadata: Metadata =
        serde_json::from_slice(&answer.stdout).map_err(|error| unreadable(error.to_string()))?;
    let package = metadata
        .packages
        .into_iter()
        .find(|package| package.manifest_path == manifest)
        .ok_or_else(|| unreadable("it is a workspace: name one of its crates".to_owned()))?;
    if !package.targets.iter().any(Target::is_cdylib) {
        return Err(BuildError::NotACdylib(package.name));
    }
    Ok(PluginCrate {
        package: package.name,
        manifest,
        target_dir: metadata.target_directory,
    })
}

/// Compiles the crate and gives the path of its core module.
pub(crate) fn compile(
    plugin: &PluginCrate,
    toolchain: Toolchain,
    target_dir: &Path,
) -> Result<PathBuf, BuildError> {
    let mut cargo = toolchain.cargo_build();
    cargo
        .args([
            "--release",
            "--lib",
            "--message-format=json-render-diagnostics",
        ])
        .arg("--manifest-path")
        .arg(&plugin.manifest)
        .arg("--target-dir")
        .arg(target_dir)
        .args(without_home())
        .args(fast(&plugin.package))
        .envs(PROFILE)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    for flags in FOREIGN_FLAGS {
        cargo.env_remove(flags);
    }
    let program = cargo.get_program().to_string_lossy().into_owned();
    let answer = cargo.output().map_err(no_cargo(&program))?;

    let failed = || BuildError::Compile(plugin.package.clone());
    if !answer.status.success() {
        return Err(failed());
    }
    String::from_utf8_lossy(&answer.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find_map(|message| module_of(plugin, message))
        .ok_or_else(failed)
}

/// A tenth off each call of a small filter, for a quarter more of size. All crates alike
/// would gain no more, and double the constants that a guest keeps in memory.
fn fast(package: &str) -> [String; 2] {
    let config = format!("profile.release.package.\"{package}\".opt-level=2");
    ["--config".to_owned(), config]
}

/// A panic names its source file: where the user of the machine that a plugin was
/// built on keeps things is nobody's business.
fn without_home() -> Vec<String> {
    let Some(home) = env::home_dir() else {
        return Vec::new();
    };
    let flag = format!("--remap-path-prefix={}=~", home.display());
    // Beside the flags of the crate's own configuration, not in their place.
    let flags = serde_json::json!([flag]);
    let config = format!("target.wasm32-unknown-unknown.rustflags={flags}");
    vec!["--config".to_owned(), config]
}

fn module_of(plugin: &PluginCrate, message: Message) -> Option<PathBuf> {
    let Message::CompilerArtifact {
        manifest_path,
        target,
        filenames,
    } = message
    else {
        return None;
    };
    (manifest_path == plugin.manifest && target.is_cdylib())
        .then_some(filenames)?
        .into_iter()
        .find(|file| {
            file.extension()
                .is_some_and(|extension| extension == "wasm")
        })
}

fn no_cargo(program: &str) -> impl FnOnce(std::io::Error) -> BuildError {
    let program = program.to_owned();
    move |source| BuildError::NoCargo { program, source }
}
