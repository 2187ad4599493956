//! Turns a plugin crate into one WebAssembly component:
//!
//! 1. ask cargo what the crate is (`cargo`),
//! 2. choose whose std for wasm32-unknown-unknown to use (`toolchain`),
//! 3. compile with a profile that makes small components,
//! 4. wrap the module into a component and check what it imports and exports
//!    (`component`),
//! 5. write it, unless the file is already that.
//!
//! Progress goes to standard error, as cargo's does.

mod cargo;
mod component;
mod error;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};

pub use component::Role;
pub use error::BuildError;
pub use toolchain::{Std, TARGET};

/// What to build, and where.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Folder of the plugin crate.
    pub crate_dir: PathBuf,
    /// Where the `.wasm` goes; made if it does not exist.
    pub out_dir: PathBuf,
    /// Where cargo's results go, in one folder per toolchain; where cargo would
    /// put them for this crate if absent.
    pub target_dir: Option<PathBuf>,
    pub std: Std,
}

impl BuildRequest {
    pub fn new(crate_dir: impl Into<PathBuf>, out_dir: impl Into<PathBuf>) -> Self {
        Self {
            crate_dir: crate_dir.into(),
            out_dir: out_dir.into(),
            target_dir: None,
            std: Std::Auto,
        }
    }
}

/// A component, written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The crate's name without `tiny-forge-plugin-`.
    pub name: String,
    pub role: Role,
    /// The `.wasm`: the name with this extension, in the request's `out_dir`.
    pub path: PathBuf,
    pub size_bytes: u64,
    /// Whether the file is new or other than it was.
    pub changed: bool,
}

/// Builds a plugin. Quick where nothing changed.
///
/// # Errors
/// Each says what is wrong and what to do: see [`BuildError`].
pub fn build(request: &BuildRequest) -> Result<Built, BuildError> {
    let plugin = cargo::describe(&request.crate_dir)?;
    let toolchain = toolchain::find(request.std)?;
    let target_dir = request
        .target_dir
        .as_ref()
        .unwrap_or(&plugin.target_dir)
        .join(format!("plugins-{}", toolchain.name()));

    let module_path = cargo::compile(&plugin, toolchain, &target_dir)?;
    let module = read(&module_path)?;
    let component = component::encode(&plugin.package, &module)?;

    let path = request.out_dir.join(format!("{}.wasm", plugin.name()));
    let changed = write_if_changed(&path, &component.bytes)?;
    Ok(Built {
        name: plugin.name().to_owned(),
        role: component.role,
        path,
        size_bytes: component.bytes.len() as u64,
        changed,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(BuildError::io("read", path))
}

/// Whole or not at all: a server may be watching the folder.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool, BuildError> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(BuildError::io("make", folder))?;
    }
    let unfinished = path.with_extension("wasm.new");
    fs::write(&unfinished, bytes).map_err(BuildError::io("write", &unfinished))?;
    fs::rename(&unfinished, path).map_err(BuildError::io("write", path))?;
    Ok(true)
}
