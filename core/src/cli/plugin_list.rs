use std::io::{self, Write};

use clap::Args;

use super::{Outcome, client::Client, print};
use crate::model::{Plugin, PluginState};

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(serde::Deserialize)]
struct Page {
    items: Vec<Plugin>,
}

const HEAD: [&str; 9] = [
    "NAME", "ROLE", "STATE", "VERSION", "CALLS", "P99", "FAULTS", "MEMORY", "WAITING",
];

pub(super) async fn run(client: &Client, args: &ListArgs) -> anyhow::Result<Outcome> {
    let listed: Page = client.get("/api/plugins").await?;
    let printed = if args.json {
        print::json_lines(&listed.items)
    } else {
        print_table(&listed.items)
    };
    print::done(printed)
}

fn print_table(plugins: &[Plugin]) -> io::Result<()> {
    let head = HEAD.map(str::to_owned);
    let rows: Vec<_> = plugins.iter().map(row).collect();
    let all = || std::iter::once(&head).chain(&rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max();
    let widths = std::array::from_fn::<_, { HEAD.len() }, _>(|it| width(it).unwrap_or(0));
    let mut out = io::stdout().lock();
    print_row(&mut out, &head, widths)?;
    for (row, plugin) in rows.iter().zip(plugins) {
        print_row(&mut out, row, widths)?;
        if let Some(error) = &plugin.error {
            writeln!(out, "  {error}")?;
        }
        if plugin.state == PluginState::Quarantined {
            let name = &plugin.name;
            writeln!(
                out,
                "  to ask it again at once: tiny-forge plugin resume {name}"
            )?;
        }
        let queue = plugin.queue.as_ref();
        if let Some(problem) = queue.and_then(|queue| queue.last_error.as_ref()) {
            let problem = print::first_line(problem);
            writeln!(out, "  what waits was not delivered: {problem}")?;
        }
        print_missing(&mut out, plugin)?;
    }
    Ok(())
}

fn print_missing(out: &mut impl Write, plugin: &Plugin) -> io::Result<()> {
    for line in &plugin.missing_grants {
        writeln!(out, "  it asks for more: {line}")?;
    }
    if plugin.missing_grants.is_empty() {
        return Ok(());
    }
    let name = &plugin.name;
    writeln!(
        out,
        "  to grant that: tiny-forge plugin grant {name}, or add it to the file that configures it"
    )
}

fn row(plugin: &Plugin) -> [String; HEAD.len()] {
    let none = || "-".to_owned();
    [
        plugin.name.clone(),
        plugin.role.map_or_else(none, |role| role.as_str().into()),
        plugin.state.as_str().into(),
        plugin.version.clone().unwrap_or_else(none),
        plugin.calls.total.to_string(),
        plugin.calls.p99_us.map_or_else(none, duration),
        plugin.calls.faults.to_string(),
        memory(plugin.memory.bytes),
        plugin
            .queue
            .as_ref()
            .map_or_else(none, |queue| queue.pending.to_string()),
    ]
}

fn duration(us: f64) -> String {
    match us {
        us if us < 1_000.0 => format!("{us:.1}µs"),
        us => format!("{:.1}ms", us / 1_000.0),
    }
}

fn memory(bytes: u64) -> String {
    format!("{:.1}MiB", bytes as f64 / f64::from(1 << 20))
}

fn print_row(
    out: &mut impl Write,
    row: &[String; HEAD.len()],
    widths: [usize; HEAD.len()],
) -> io::Result<()> {
    let cells = row.iter().zip(widths);
    let line: Vec<_> = cells
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    writeln!(out, "{}", line.join("  ").trim_end())
}
