use super::PluginStatus;
use crate::{
    model::{Asked, Plugin, PluginRole, PluginState, SinkQueue},
    plugin_host::capabilities::PluginLog,
};

impl PluginStatus {
    /// As the API shows it.
    pub fn view(&self, queue: Option<SinkQueue>) -> Plugin {
        let known = self.lock();
        let identity = known.running.as_ref();
        let description = identity.map(|identity| &identity.description);
        let is_sink = identity.is_some_and(|identity| identity.role == PluginRole::Sink);
        Plugin {
            name: self.name.clone(),
            file: known.file.clone(),
            state: known.state,
            error: known.error.clone(),
            rests_until: known
                .rests_until
                .filter(|_| known.state == PluginState::Quarantined),
            role: identity.map(|identity| identity.role),
            version: description.map(|it| it.version.clone()),
            description: description.map(|it| it.description.clone()),
            contract: identity.map(|identity| identity.contract.clone()),
            digest: identity.map(|identity| identity.digest.clone()),
            loaded_at: identity.map(|identity| identity.loaded_at),
            config_schema: description.map(|it| it.config_schema.clone()),
            asked: description.map_or_else(Asked::default, |it| it.asked.clone()),
            granted: known.granted.clone(),
            missing_grants: known.asked_for().lines.clone(),
            suggested_toml: known.suggested_toml.clone(),
            calls: self.metrics.calls(),
            last_fault: known.last_fault.clone(),
            memory: self.metrics.memory(),
            http_requests: self.metrics.http_requests(),
            deliveries: is_sink.then(|| self.metrics.deliveries()),
            queue,
            recent_log: known.log.as_ref().map(PluginLog::lines).unwrap_or_default(),
        }
    }
}
