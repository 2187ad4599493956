//! `tiny-forge-plugin-build --out DIR CRATE_DIR…`

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use tiny_forge_plugin_build::{BuildRequest, Std, build};

/// Builds plugin crates, each to one WebAssembly component.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder for the `.wasm` files.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Folder for cargo's results, instead of its own choice.
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,

    /// Whose Rust std for wasm32-unknown-unknown to use.
    #[arg(long, value_enum, default_value = "auto")]
    std: StdChoice,

    /// Folders of plugin crates.
    #[arg(required = true, value_name = "CRATE_DIR")]
    crates: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum StdChoice {
    /// The active toolchain's if it has one, else Debian's.
    Auto,
    /// Only the active toolchain's.
    Toolchain,
    /// Only one built from Debian's packages.
    Debian,
}

impl From<StdChoice> for Std {
    fn from(choice: StdChoice) -> Self {
        match choice {
            StdChoice::Auto => Self::Auto,
            StdChoice::Toolchain => Self::Toolchain,
            StdChoice::Debian => Self::Debian,
        }
    }
}

fn main() -> anyhow::Result<()> {
    let Arguments {
        out,
        target_dir,
        std,
        crates,
    } = Arguments::parse();
    for crate_dir in crates {
        let request = BuildRequest {
            target_dir: target_dir.clone(),
            std: std.into(),
            ..BuildRequest::new(&crate_dir, &out)
        };
        let built = build(&request).with_context(|| format!("building {}", crate_dir.display()))?;
        println!(
            "{:<8} {} ({} KiB{})",
            built.role,
            built.path.display(),
            built.size_bytes.div_ceil(1024),
            if built.changed { "" } else { ", unchanged" },
        );
    }
    Ok(())
}
