//! What the API shows of plugins, pipelines and deliveries.

use super::{HostError, PluginHost, config::FileError, host::not_found};
use crate::{
    model::{
        Asked, Calls, EventId, Granted, Pipeline, Plugin, PluginRole, PluginState, Position,
        SinkQueue,
    },
    store::{PipelineProgress, StoreError},
};

/// Drops that are shown of a pipeline.
const DROPS_SHOWN: usize = 20;

impl PluginHost {
    /// All plugins by name, files that wait for configuration, and files of
    /// configuration that cannot be used.
    pub async fn plugins(&self) -> Result<(Vec<Plugin>, Position), HostError> {
        let sinks: Vec<String> = {
            let live = self.live();
            let plugins = live.plugins.iter();
            let sinks = plugins.filter(|(_, it)| it.status.role() == Some(PluginRole::Sink));
            sinks.map(|(name, _)| name.clone()).collect()
        };
        let (queues, as_of) = self
            .shared()
            .store
            .read(move |reader| {
                let queues = sinks.into_iter().map(|sink| {
                    let queue = reader.sink_queue(&sink)?;
                    Ok((sink, queue))
                });
                Ok((
                    queues.collect::<Result<Vec<_>, StoreError>>()?,
                    reader.head()?,
                ))
            })
            .await?;
        let queue_of = |name: &str| -> Option<SinkQueue> {
            let found = queues.iter().find(|(sink, _)| sink == name)?;
            Some(found.1.clone())
        };
        let live = self.live();
        let plugins = live.plugins.iter();
        let mut views: Vec<Plugin> = plugins
            .map(|(name, plugin)| plugin.status.view(queue_of(name)))
            .collect();
        views.extend(live.errors.iter().map(broken_file));
        Ok((views, as_of))
    }

    pub async fn plugin(&self, name: &str) -> Result<(Plugin, Position), HostError> {
        let (plugins, as_of) = self.plugins().await?;
        let found = plugins.into_iter().find(|plugin| plugin.name == name);
        Ok((found.ok_or_else(|| not_found("plugin", name))?, as_of))
    }

    pub async fn pipelines(&self) -> Result<(Vec<Pipeline>, Position), HostError> {
        let names: Vec<String> = self.live().pipelines.keys().cloned().collect();
        let (stored, as_of) = self
            .shared()
            .store
            .read(move |reader| {
                let stored = names.into_iter().map(|name| {
                    let progress = reader.pipeline_progress(&name)?.unwrap_or_default();
                    let drops = reader.recent_drops(&name, DROPS_SHOWN)?;
                    Ok((name, progress, drops))
                });
                Ok((
                    stored.collect::<Result<Vec<_>, StoreError>>()?,
                    reader.head()?,
                ))
            })
            .await?;
        let live = self.live();
        let views = stored
            .into_iter()
            .filter_map(|(name, progress, recent_drops)| {
                let pipeline = live.pipelines.get(&name)?;
                let known = pipeline.status.known();
                let PipelineProgress {
                    cursor,
                    seen,
                    dropped,
                    skipped,
                } = progress;
                let cursor = EventId(cursor.0.max(known.cursor.0));
                Some(Pipeline {
                    name,
                    state: known.state,
                    error: known.error,
                    when: pipeline.config.when.clone(),
                    steps: pipeline.config.steps.clone(),
                    sinks: pipeline.config.sinks.clone(),
                    cursor,
                    lag: (as_of.id.0 - cursor.0).max(0),
                    seen,
                    dropped,
                    skipped,
                    recent_drops,
                })
            });
        Ok((views.collect(), as_of))
    }
}

/// A file of configuration that was not taken, among the plugins, so that
/// nobody looks for it in vain.
fn broken_file(error: &FileError) -> Plugin {
    Plugin {
        name: error.file.clone(),
        file: error.file.clone(),
        state: PluginState::Failed,
        error: Some(error.to_string()),
        role: None,
        version: None,
        description: None,
        digest: None,
        loaded_at: None,
        config_schema: None,
        asked: Asked::default(),
        granted: Granted::default(),
        missing_grants: Vec::new(),
        suggested_toml: None,
        calls: Calls::default(),
        queue: None,
        recent_log: Vec::new(),
    }
}
