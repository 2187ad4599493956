use std::time::Duration;

use globset::Glob;

use super::raw;
use crate::{
    model::{Batch, OnError, PipelineStep, Throttle, When},
    plugin_host::pipeline::{Matcher, OncePer},
};

/// A `[pipeline.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineConfig {
    pub when: When,
    /// Filters and enrichers, in the order written.
    pub steps: Vec<PipelineStep>,
    /// Names of plugins.
    pub sinks: Vec<String>,
    pub throttle: Throttle,
}

impl PipelineConfig {
    pub(super) fn from_raw(raw: raw::Pipeline) -> Result<Self, String> {
        if raw.sinks.is_empty() {
            return Err("sinks: expected at least one plugin, e.g. sinks = [\"slack\"]".into());
        }
        let steps = raw.steps.into_iter().map(|step| match step {
            raw::Step::Name(plugin) => PipelineStep {
                plugin,
                on_error: OnError::default(),
            },
            raw::Step::Full(step) => PipelineStep {
                plugin: step.plugin,
                on_error: step.on_error,
            },
        });
        let steps = steps.collect();
        Ok(Self {
            when: when(raw.when)?,
            steps,
            sinks: raw.sinks,
            throttle: throttle(raw.startup_grace, raw.once_per, raw.cooldown, raw.batch)?,
        })
    }

    /// Names of all plugins that it needs.
    pub fn plugins(&self) -> impl Iterator<Item = &str> {
        let steps = self.steps.iter().map(|step| step.plugin.as_str());
        steps.chain(self.sinks.iter().map(String::as_str))
    }
}

/// How long things may take that are kept in memory until they are over.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// The most that one delivery holds.
const BATCH_EVENTS_MAX: usize = 500;

fn throttle(
    startup_grace: Option<String>,
    once_per: raw::OneOrMany,
    cooldown: Option<String>,
    batch: Option<raw::Batch>,
) -> Result<Throttle, String> {
    let once_per = once_per.into_vec();
    for path in &once_per {
        OncePer::check_path(path).map_err(|error| format!("once_per: {error}"))?;
    }
    let cooldown_s = cooldown
        .map(|text| seconds("cooldown", &text))
        .transpose()?;
    match (once_per.is_empty(), cooldown_s) {
        (false, None) => {
            return Err("once_per needs a cooldown as well, e.g. cooldown = \"10m\"".into());
        }
        (true, Some(_)) => {
            return Err("cooldown needs once_per as well, e.g. once_per = \"subject\"".into());
        }
        _ => {}
    }
    let grace = startup_grace.map(|text| seconds("startup_grace", &text));
    Ok(Throttle {
        startup_grace_s: grace.transpose()?,
        once_per,
        cooldown_s,
        batch: batch.map(check_batch).transpose()?,
    })
}

fn check_batch(raw: raw::Batch) -> Result<Batch, String> {
    if !(2..=BATCH_EVENTS_MAX).contains(&raw.events) {
        let events = raw.events;
        return Err(format!(
            "batch.events: {events} is not between 2 and {BATCH_EVENTS_MAX}"
        ));
    }
    Ok(Batch {
        events: raw.events,
        wait_s: seconds("batch.wait", &raw.wait)?,
    })
}

fn seconds(key: &str, text: &str) -> Result<u64, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{key}: `{text}` is not a duration such as 30s or 5m: {error}"))?;
    if time < Duration::from_secs(1) || time > LONGEST {
        return Err(format!("{key}: `{text}` is not between 1s and 7days"));
    }
    Ok(time.as_secs())
}

fn when(raw: raw::When) -> Result<When, String> {
    let when = When {
        types: raw.types.into_vec(),
        project: raw.project.into_vec(),
        stage: raw.stage.into_vec(),
        instance: raw.instance.into_vec(),
        severity: raw.severity,
        planned: raw.planned,
    };
    for (key, globs) in [
        ("type", &when.types),
        ("project", &when.project),
        ("stage", &when.stage),
        ("instance", &when.instance),
    ] {
        for glob in globs {
            Glob::new(glob)
                .map_err(|error| format!("when.{key}: `{glob}` is not a glob: {error}"))?;
        }
    }
    Matcher::new(&when).map_err(|error| format!("when.type: {error}"))?;
    Ok(when)
}
