use std::io::{self, Write};

use clap::Args;

use super::{Outcome, client::Client, print};
use crate::model::Secret;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(serde::Deserialize)]
struct Page {
    items: Vec<Secret>,
}

pub(super) async fn run(client: &Client, args: &ListArgs) -> anyhow::Result<Outcome> {
    let listed: Page = client.get("/api/secrets").await?;
    let printed = if args.json {
        print::json_lines(&listed.items)
    } else {
        print_table(&listed.items)
    };
    print::done(printed)
}

fn print_table(secrets: &[Secret]) -> io::Result<()> {
    let names = secrets.iter().map(|secret| secret.name.as_str().len());
    let width = names.max().unwrap_or(0).max("NAME".len());
    let mut out = io::stdout().lock();
    writeln!(out, "{:width$}  {:24}  USED BY", "NAME", "SET")?;
    for secret in secrets {
        let set = secret.updated_at.map(|time| time.to_string());
        let set = set.unwrap_or_else(|| "missing".into());
        let used_by = secret.used_by.join(", ");
        let line = format!("{:width$}  {set:24}  {used_by}", secret.name.as_str());
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
