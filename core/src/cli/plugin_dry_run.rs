use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use reqwest::Method;

use super::{Outcome, client::Client, print};
use crate::model::{
    DryRun, DryRunDelivery, DryRunEvent, DryRunOutcome, DryRunRequest, DryRunSummary, StepDecision,
    TraceOutcome,
};

/// Compiling a new plugin takes up to 120 s, the run 20 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(180);

#[derive(Debug, Args)]
pub(super) struct DryRunArgs {
    /// Plugin, as the server calls it, or a .wasm that it does not have yet
    #[arg(required_unless_present = "pipeline", conflicts_with = "pipeline")]
    plugin: Option<String>,
    /// Try a whole pipeline instead
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// How far back: a duration such as 24h, or a time
    #[arg(long, default_value = "24h")]
    since: String,
    /// Events at most, 1 to 2000, the oldest first
    #[arg(long)]
    limit: Option<usize>,
    /// Configuration to try, as it would be put into the plugins folder
    #[arg(long, value_name = "FILE")]
    toml: Option<PathBuf>,
    /// A .wasm that the configuration names and the server does not have yet
    #[arg(long = "wasm", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The whole answer of the server, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(client: &Client, args: &DryRunArgs) -> anyhow::Result<Outcome> {
    let mut files = args.files.clone();
    let path = match (&args.pipeline, &args.plugin) {
        (Some(pipeline), _) => format!("/api/pipelines/{pipeline}/dry-run"),
        (None, plugin) => {
            let named = plugin.clone().unwrap_or_default();
            let name = match named.strip_suffix(".wasm") {
                Some(_) => {
                    files.push(PathBuf::from(&named));
                    stem(Path::new(&named))
                }
                None => named,
            };
            format!("/api/plugins/{name}/dry-run")
        }
    };
    let toml = args.toml.as_ref().map(|path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    });
    let request = DryRunRequest {
        since: Some(args.since.clone()),
        limit: args.limit,
        toml: toml.transpose()?,
        files: files
            .iter()
            .map(|path| pack(path))
            .collect::<Result<_, _>>()?,
        when: None,
        answer: None,
    };
    let asked = client.write_within(ANSWER_TIMEOUT, Method::POST, &path, &request);
    let mut run = asked.await.map_err(anyhow::Error::from);
    if request.toml.is_none() && !request.files.is_empty() {
        run = run.context("it was tried without a configuration of its own (--toml)");
    }
    let run: DryRun = run?;
    print::done(if args.json {
        print::json_lines(&[run])
    } else {
        print_run(&run)
    })
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn pack(path: &Path) -> anyhow::Result<(String, String)> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok((name.into_owned(), STANDARD.encode(bytes)))
}

fn print_run(run: &DryRun) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for plugin in &run.plugins {
        let (name, version) = (&plugin.name, &plugin.version);
        let installed = if plugin.installed {
            ""
        } else {
            ", not the installed file"
        };
        writeln!(out, "{} {name} {version}{installed}", plugin.role.as_str())?;
        for line in &plugin.missing_grants {
            writeln!(out, "  it asks for more; to grant it, add: {line}")?;
        }
    }
    for event in &run.events {
        print_event(&mut out, event)?;
    }
    for delivery in &run.deliveries {
        print_delivery(&mut out, delivery)?;
    }
    for plugin in &run.plugins {
        for line in &plugin.log {
            writeln!(out, "{} wrote: {}", plugin.name, line.message)?;
        }
    }
    print_summary(&mut out, &run.summary)?;
    let is_failure = |event: &&DryRunEvent| {
        let mut steps = event.steps.iter();
        steps.any(|step| step.decision == StepDecision::Failed)
    };
    match run.events.iter().filter(is_failure).count() {
        0 => {}
        failures => writeln!(out, "{failures} events on which a step failed")?,
    }
    for note in &run.notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}

/// Those of which there is something to say.
fn print_event(out: &mut impl Write, event: &DryRunEvent) -> io::Result<()> {
    let said: Vec<String> = event
        .steps
        .iter()
        .filter_map(|step| Some(format!("{}: {}", step.plugin, step.detail.as_ref()?)))
        .collect();
    if event.outcome == DryRunOutcome::Passed && said.is_empty() && !event.differs {
        return Ok(());
    }
    let DryRunEvent {
        id,
        kind,
        time,
        subject,
        ..
    } = event;
    writeln!(
        out,
        "{id}  {time}  {kind}  {subject}  {}",
        word(event.outcome)
    )?;
    for said in &said {
        writeln!(out, "    {}", print::first_line(said))?;
    }
    if said.is_empty()
        && let Some(reason) = &event.reason
    {
        writeln!(out, "    {}", print::first_line(reason))?;
    }
    if event.differs {
        for really in &event.really {
            let outcome = match really.outcome {
                TraceOutcome::Passed => "passed",
                TraceOutcome::Dropped => "dropped",
                TraceOutcome::Silent => "silent",
            };
            writeln!(out, "    really {outcome} in {}", really.pipeline)?;
        }
    }
    Ok(())
}

fn word(outcome: DryRunOutcome) -> &'static str {
    match outcome {
        DryRunOutcome::Passed => "passes",
        DryRunOutcome::Dropped => "dropped",
        DryRunOutcome::Silent => "silent",
        DryRunOutcome::Held => "HELD",
    }
}

fn print_delivery(out: &mut impl Write, delivery: &DryRunDelivery) -> io::Result<()> {
    let ids: Vec<String> = delivery.events.iter().map(ToString::to_string).collect();
    let (sink, outcome) = (&delivery.sink, delivery.outcome.as_str());
    write!(out, "→ {sink}  {}  {outcome}", ids.join(","))?;
    match &delivery.reason {
        Some(reason) => writeln!(out, ": {reason}")?,
        None => writeln!(out)?,
    }
    for request in &delivery.requests {
        writeln!(out, "    {} {}", request.method, request.url)?;
        if let Some(body) = &request.body {
            writeln!(out, "    {body}")?;
        }
        if let Some(refused) = &request.refused {
            writeln!(out, "    would not leave: {refused}")?;
        }
    }
    for real in &delivery.really {
        writeln!(out, "    really {} as {}", real.status.as_str(), real.id)?;
    }
    Ok(())
}

fn print_summary(out: &mut impl Write, summary: &DryRunSummary) -> io::Result<()> {
    let DryRunSummary {
        events,
        passed,
        dropped,
        silent,
        held,
        different,
        deliveries,
        failed_deliveries,
    } = summary;
    writeln!(
        out,
        "{events} events: {passed} pass, {dropped} dropped, {silent} silent, {held} held; \
         {different} went otherwise in reality"
    )?;
    writeln!(
        out,
        "{deliveries} deliveries, {failed_deliveries} of them would fail; nothing was sent"
    )
}
