use std::io::{self, Write};

use clap::Args;

use super::{Outcome, client::Client, print};
use crate::model::{Pipeline, PipelineState, Plugin, PluginState};

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(serde::Deserialize)]
struct Page<T> {
    items: Vec<T>,
}

const HEAD: [&str; 9] = [
    "NAME", "ROLE", "STATE", "VERSION", "CALLS", "P99", "FAULTS", "MEMORY", "WAITING",
];

pub(super) async fn run(client: &Client, args: &ListArgs) -> anyhow::Result<Outcome> {
    let listed: Page<Plugin> = client.get("/api/plugins").await?;
    if args.json {
        return print::done(print::json_lines(&listed.items));
    }
    let pipelines: Page<Pipeline> = client.get("/api/pipelines").await?;
    let printed =
        print_table(&listed.items).and_then(|()| print_what_stands_still(&pipelines.items));
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
        print_next_step(&mut out, plugin)?;
        print_queue(&mut out, plugin)?;
        print_missing(&mut out, plugin)?;
    }
    Ok(())
}

fn print_next_step(out: &mut impl Write, plugin: &Plugin) -> io::Result<()> {
    let name = &plugin.name;
    match plugin.state {
        PluginState::NotConfigured => writeln!(
            out,
            "  to use it, configure it: tiny-forge plugin inspect shows what to write"
        ),
        PluginState::Quarantined => writeln!(
            out,
            "  to ask it again at once: tiny-forge plugin resume {name}"
        ),
        _ => Ok(()),
    }
}

fn print_queue(out: &mut impl Write, plugin: &Plugin) -> io::Result<()> {
    let Some(queue) = &plugin.queue else {
        return Ok(());
    };
    if let Some(problem) = &queue.last_error {
        let problem = print::first_line(problem);
        writeln!(out, "  what waits was not delivered: {problem}")?;
    }
    if queue.dead > 0 {
        let (dead, name) = (queue.dead, &plugin.name);
        writeln!(
            out,
            "  {dead} given up: the page Plugins shows why and sends them again, as does \
             POST /api/plugins/{name}/replay"
        )?;
    }
    Ok(())
}

fn print_missing(out: &mut impl Write, plugin: &Plugin) -> io::Result<()> {
    let missing = &plugin.missing_grants;
    for line in missing {
        writeln!(out, "  it asks for more: {line}")?;
    }
    let name = &plugin.name;
    // A secret that is in the sealed store can be granted from there.
    if missing.is_empty() {
        Ok(())
    } else if missing.iter().all(|line| line.contains(" = \"env:")) {
        writeln!(
            out,
            "  to give it that: add it to the file that configures it; or tiny-forge secret set, \
             under the name that it asks for, and then tiny-forge plugin grant {name}"
        )
    } else {
        writeln!(
            out,
            "  to grant that: tiny-forge plugin grant {name}, or add it to the file that configures it"
        )
    }
}

/// Pipelines for which events wait.
fn print_what_stands_still(pipelines: &[Pipeline]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for pipeline in pipelines {
        let state = match pipeline.state {
            PipelineState::Running => continue,
            PipelineState::Paused => "paused",
            PipelineState::Failed => "failed",
        };
        let why = pipeline
            .error
            .as_deref()
            .unwrap_or("it has just been started");
        writeln!(out, "pipeline {} {state}: {why}", pipeline.name)?;
    }
    Ok(())
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
