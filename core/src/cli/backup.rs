use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;

use super::Outcome;
use crate::{
    config::DataArg,
    store::{self, DataDir},
};

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Where the copy goes; it must not exist yet
    file: PathBuf,
    #[command(flatten)]
    data: DataArg,
}

const BETWEEN_REPORTS: Duration = Duration::from_secs(2);

/// Works on the files, so that it needs no server, and disturbs none.
pub(super) fn run(args: &BackupArgs) -> anyhow::Result<Outcome> {
    let data = args.data.path()?;
    let started = Instant::now();
    let mut reported = started;
    let copied = store::backup(&DataDir::database_in(&data), &args.file, |share| {
        if reported.elapsed() >= BETWEEN_REPORTS {
            eprintln!("{:.0} % copied", share * 100.0);
            reported = Instant::now();
        }
    })?;
    println!(
        "backed up {} up to event {} in {:.1} s: `{}`",
        megabytes(copied.bytes),
        copied.head.id,
        started.elapsed().as_secs_f64(),
        args.file.display()
    );
    eprintln!(
        "sealed values in it open only with `{}`: keep a copy of that file, too, but elsewhere",
        DataDir::key_in(&data).display()
    );
    Ok(Outcome::Done)
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
