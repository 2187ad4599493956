use std::path::PathBuf;

use clap::Args;

use super::{Outcome, backup::megabytes};
use crate::{
    config::DataArg,
    store::{self, DataDir},
};

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A file that `tiny-forge backup` has made
    file: PathBuf,
    #[command(flatten)]
    data: DataArg,
}

pub(super) fn run(args: &RestoreArgs) -> anyhow::Result<Outcome> {
    let data = DataDir::open(&args.data.path()?)?;
    let restored = store::restore(&data, &args.file)?;
    println!(
        "restored {} up to event {}: `{}`",
        megabytes(restored.copied.bytes),
        restored.copied.head.id,
        data.database().display()
    );
    if let Some(before) = restored.before {
        eprintln!("what was there before is kept as `{}`", before.display());
    }
    let key = DataDir::key_in(data.path());
    if !key.exists() {
        eprintln!(
            "`{}` is missing: sealed values open only with the one of the server that was backed up",
            key.display()
        );
    }
    Ok(Outcome::Done)
}
