use std::path::PathBuf;

use clap::Args;
use tiny_forge_plugin_build::BuildRequest;

use super::Outcome;

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Folder of the plugin crate
    #[arg(default_value = ".")]
    crate_dir: PathBuf,
    /// Where the .wasm goes: the server's plugins folder, for instance
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

pub(super) fn run(args: BuildArgs) -> anyhow::Result<Outcome> {
    let request = BuildRequest::new(args.crate_dir, args.out);
    let built = tiny_forge_plugin_build::build(&request)?;
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
