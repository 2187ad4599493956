use globset::Glob;

use super::raw;
use crate::model::{EventType, OnError, PipelineStep, When};

/// A `[pipeline.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineConfig {
    pub when: When,
    /// Filters and enrichers, in the order written.
    pub steps: Vec<PipelineStep>,
    /// Names of plugins.
    pub sinks: Vec<String>,
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
        Ok(Self {
            when: when(raw.when)?,
            steps: steps.collect(),
            sinks: raw.sinks,
        })
    }

    /// Names of all plugins that it needs.
    pub fn plugins(&self) -> impl Iterator<Item = &str> {
        let steps = self.steps.iter().map(|step| step.plugin.as_str());
        steps.chain(self.sinks.iter().map(String::as_str))
    }
}

fn when(raw: raw::When) -> Result<When, String> {
    let when = When {
        types: raw.types.into_vec(),
        project: raw.project.into_vec(),
        stage: raw.stage.into_vec(),
        instance: raw.instance.into_vec(),
        severity: raw.severity,
    };
    for kind in &when.types {
        let glob = check_glob("type", kind)?.compile_matcher();
        if !EventType::ALL
            .iter()
            .any(|known| glob.is_match(known.as_str()))
        {
            let known = EventType::ALL.map(EventType::as_str).join(", ");
            return Err(format!(
                "when.type: no event type is called `{kind}`, there are: {known}"
            ));
        }
    }
    for (key, globs) in [
        ("project", &when.project),
        ("stage", &when.stage),
        ("instance", &when.instance),
    ] {
        for glob in globs {
            check_glob(key, glob)?;
        }
    }
    Ok(when)
}

fn check_glob(key: &str, text: &str) -> Result<Glob, String> {
    Glob::new(text).map_err(|error| format!("when.{key}: `{text}` is not a glob: {error}"))
}
