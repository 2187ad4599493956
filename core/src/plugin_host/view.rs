//! What the API shows of plugins, pipelines and deliveries.

use std::collections::BTreeMap;

use super::{
    HostError, PluginHost,
    config::FileError,
    host::not_found,
    live::LivePipeline,
    metrics::{Exposed, exposition},
    pipeline::Matcher,
};
use crate::{
    model::{
        Asked, Calls, EventId, Granted, Pipeline, Plugin, PluginMemory, PluginRole, PluginState,
        Position, SinkQueue,
    },
    store::{PipelineProgress, Reader, StoreError},
};

/// Drops that are shown of a pipeline.
const DROPS_SHOWN: usize = 20;
/// Waiting events are counted no further.
const LAG_COUNTED: usize = 500;

impl PluginHost {
    /// All plugins by name, files that wait for configuration, and files of
    /// configuration that cannot be used.
    pub async fn plugins(&self) -> Result<(Vec<Plugin>, Position), HostError> {
        let (queues, as_of) = self.queues().await?;
        let live = self.live();
        let plugins = live.plugins.iter();
        let mut views: Vec<Plugin> = plugins
            .map(|(name, plugin)| plugin.status.view(queues.get(name).cloned()))
            .collect();
        views.extend(live.errors.iter().map(broken_file));
        Ok((views, as_of))
    }

    /// The counters of all plugins, for a collector.
    pub async fn metrics(&self) -> Result<String, HostError> {
        let (queues, _) = self.queues().await?;
        let live = self.live();
        let plugins = live.plugins.iter().map(|(name, plugin)| Exposed {
            plugin: name,
            state: plugin.status.state(),
            metrics: plugin.status.metrics(),
            queue: queues.get(name).cloned(),
        });
        Ok(exposition(&plugins.collect::<Vec<_>>()))
    }

    /// Of all sinks.
    async fn queues(&self) -> Result<(BTreeMap<String, SinkQueue>, Position), HostError> {
        let sinks: Vec<String> = {
            let live = self.live();
            let plugins = live.plugins.iter();
            let sinks = plugins.filter(|(_, it)| it.status.role() == Some(PluginRole::Sink));
            sinks.map(|(name, _)| name.clone()).collect()
        };
        let read = self.shared().store.read(move |reader| {
            let queues = sinks.into_iter().map(|sink| {
                let queue = reader.sink_queue(&sink)?;
                Ok((sink, queue))
            });
            let queues: Result<_, StoreError> = queues.collect();
            Ok((queues?, reader.head()?))
        });
        Ok(read.await?)
    }

    pub async fn plugin(&self, name: &str) -> Result<(Plugin, Position), HostError> {
        let (plugins, as_of) = self.plugins().await?;
        let found = plugins.into_iter().find(|plugin| plugin.name == name);
        Ok((found.ok_or_else(|| not_found("plugin", name))?, as_of))
    }

    pub async fn pipelines(&self) -> Result<(Vec<Pipeline>, Position), HostError> {
        // First: what is shown is at least as new.
        let as_of = self.shared().store.read(|reader| reader.head()).await?;
        let mut views: Vec<Pipeline> = self
            .live()
            .pipelines
            .iter()
            .map(|(name, pipeline)| started(name, pipeline))
            .collect();
        let filled = self.shared().store.read(move |reader| {
            for view in &mut views {
                fill(view, reader)?;
            }
            Ok(views)
        });
        Ok((filled.await?, as_of))
    }
}

/// What is known of a pipeline without its store.
fn started(name: &str, pipeline: &LivePipeline) -> Pipeline {
    let known = pipeline.status.known();
    Pipeline {
        name: name.to_owned(),
        state: known.state,
        error: known.error,
        when: pipeline.config.when.clone(),
        steps: pipeline.config.steps.clone(),
        sinks: pipeline.config.sinks.clone(),
        throttle: pipeline.config.throttle.clone(),
        batched: 0,
        cursor: EventId(0),
        lag: 0,
        seen: 0,
        dropped: 0,
        skipped: 0,
        recent_drops: Vec::new(),
    }
}

fn fill(view: &mut Pipeline, reader: &Reader<'_>) -> Result<(), StoreError> {
    let PipelineProgress {
        cursor,
        seen,
        dropped,
        skipped,
    } = reader.pipeline_progress(&view.name)?.unwrap_or_default();
    if let Ok(matcher) = Matcher::new(&view.when) {
        view.lag = reader.count_after(&matcher.filter(), cursor, LAG_COUNTED)?;
    }
    (view.cursor, view.seen, view.dropped, view.skipped) = (cursor, seen, dropped, skipped);
    view.batched = reader.batched(&view.name)?;
    view.recent_drops = reader.recent_drops(&view.name, DROPS_SHOWN)?;
    Ok(())
}

/// A file of configuration that was not taken, among the plugins, so that
/// nobody looks for it in vain.
fn broken_file(error: &FileError) -> Plugin {
    Plugin {
        name: error.file.clone(),
        file: error.file.clone(),
        state: PluginState::Failed,
        error: Some(error.to_string()),
        rests_until: None,
        role: None,
        version: None,
        description: None,
        contract: None,
        digest: None,
        loaded_at: None,
        config_schema: None,
        asked: Asked::default(),
        granted: Granted::default(),
        missing_grants: Vec::new(),
        suggested_toml: None,
        calls: Calls::default(),
        last_fault: None,
        memory: PluginMemory::default(),
        http_requests: BTreeMap::new(),
        deliveries: None,
        queue: None,
        recent_log: Vec::new(),
    }
}
