use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use tiny_forge_plugin_build::BuildRequest;

use super::Outcome;
use crate::plugin_host::inspect;

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Folder of the plugin crate
    #[arg(default_value = ".")]
    crate_dir: PathBuf,
    /// Where the .wasm goes: the server's plugins folder, for instance
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

pub(super) async fn run(args: BuildArgs) -> anyhow::Result<Outcome> {
    let request = BuildRequest::new(args.crate_dir, args.out);
    let built = tiny_forge_plugin_build::build(&request)?;
    look_at(&built.path).await?;
    let news = if built.changed { "" } else { ", as it was" };
    println!(
        "{}: {} `{}`, {} bytes{news}",
        built.path.display(),
        built.role,
        built.name,
        built.size_bytes
    );
    Ok(Outcome::Done)
}

/// As a server does that finds it in its folder.
async fn look_at(path: &Path) -> anyhow::Result<()> {
    let wasm = std::fs::read(path).with_context(|| format!("{} is gone", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let program = std::env::current_exe().context("our own binary cannot be found")?;
    let looked = inspect(program, &name, &wasm).await;
    looked.with_context(|| format!("{} was built, but cannot be used", path.display()))?;
    Ok(())
}
