use anyhow::Context;
use clap::Args;

use super::Outcome;
use crate::{
    config::DataArg,
    store::{self, DataDir},
};

#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    #[command(flatten)]
    data: DataArg,
}

pub(super) fn run(args: &RotateArgs) -> anyhow::Result<Outcome> {
    #[cfg(feature = "failpoints")]
    if let Some((point, time)) = crate::config::failpoint()? {
        crate::failpoint::arm(point, time);
    }
    let data = DataDir::open(&args.data.path()?)?;
    let count = store::rotate_key(&data).context("the key stays as it was")?;
    println!("a new key seals what is in {count} specifications and secrets");
    eprintln!(
        "backups from before need the old key, which is gone: make one now with `tiny-forge backup`, \
         together with `{}`",
        DataDir::key_in(data.path()).display()
    );
    Ok(Outcome::Done)
}
