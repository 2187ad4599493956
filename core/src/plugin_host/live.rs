//! What runs now, and how it is ended.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    HostError,
    config::{FileError, PipelineConfig},
    delivery::{Inbox, TestMailbox},
    forget::Absent,
    pipeline::PipelineStatus,
    plugin::{PluginStatus, Versions, Wanted},
};
use crate::model::{PluginRole, PluginState, SecretName};

/// What runs now.
#[derive(Default)]
pub(super) struct Live {
    /// By name; files that nobody has configured by their file name.
    pub plugins: BTreeMap<String, LivePlugin>,
    pub pipelines: BTreeMap<String, LivePipeline>,
    pub ending: Ending,
    pub errors: Vec<FileError>,
    /// Which plugins take a secret from the sealed store, as the folder says.
    pub secret_users: BTreeMap<SecretName, Vec<String>>,
    pub absent_pipelines: Absent,
    pub absent_plugins: Absent,
}

/// A plugin with its supervisor and, for a sink, the task that sends.
pub(super) struct LivePlugin {
    pub status: Arc<PluginStatus>,
    pub wanted: watch::Sender<Wanted>,
    pub versions: Versions,
    pub inbox: Arc<Inbox>,
    pub tests: TestMailbox,
    pub tasks: Tasks,
}

/// A pipeline, and what it was started with.
pub(super) struct LivePipeline {
    pub config: PipelineConfig,
    pub status: Arc<PipelineStatus>,
    /// The plugins it was given; others of the same name are not the same.
    pub given: Vec<Option<Arc<PluginStatus>>>,
    pub tasks: Tasks,
}

/// What was asked to end, and may still be in a call. Only what follows it under the same
/// name waits for that.
#[derive(Default)]
pub(super) struct Ending {
    pipelines: BTreeMap<String, LivePipeline>,
    plugins: BTreeMap<String, LivePlugin>,
}

/// Tasks that end together.
#[derive(Clone)]
pub(super) struct Tasks {
    pub token: CancellationToken,
    pub tracker: TaskTracker,
}

impl Tasks {
    pub fn new() -> Self {
        Self {
            token: CancellationToken::new(),
            tracker: TaskTracker::new(),
        }
    }

    /// A call that is under way goes on to its end.
    fn ask_to_end(&self) {
        self.token.cancel();
        self.tracker.close();
    }

    pub async fn ended(&self) {
        self.tracker.wait().await;
    }

    fn have_ended(&self) -> bool {
        self.tracker.is_closed() && self.tracker.is_empty()
    }
}

impl Ending {
    pub fn add_pipeline(&mut self, name: String, pipeline: LivePipeline) {
        pipeline.tasks.ask_to_end();
        self.pipelines.insert(name, pipeline);
    }

    pub fn add_plugin(&mut self, name: String, plugin: LivePlugin) {
        plugin.tasks.ask_to_end();
        self.plugins.insert(name, plugin);
    }

    pub fn has_pipeline(&self, name: &str) -> bool {
        let pipeline = self.pipelines.get(name);
        pipeline.is_some_and(|it| !it.tasks.have_ended())
    }

    /// Also while a pipeline that ends may call it.
    pub fn has_plugin(&self, name: &str) -> bool {
        let plugin = self.plugins.get(name);
        let is_ending = plugin.is_some_and(|it| !it.tasks.have_ended());
        let calls = |pipeline: &LivePipeline| {
            !pipeline.tasks.have_ended() && pipeline.config.plugins().any(|it| it == name)
        };
        is_ending || self.pipelines.values().any(calls)
    }

    pub fn tasks(&self) -> Vec<Tasks> {
        let pipelines = self.pipelines.values().map(|it| &it.tasks);
        let plugins = self.plugins.values().map(|it| &it.tasks);
        pipelines.chain(plugins).cloned().collect()
    }

    /// Drops what is over.
    pub fn clear(&mut self) {
        self.pipelines.retain(|_, it| !it.tasks.have_ended());
        self.plugins.retain(|_, it| !it.tasks.have_ended());
    }
}

impl LivePlugin {
    pub fn wake(&self) {
        self.inbox.ring();
    }

    pub fn test_mailbox(&self) -> Result<TestMailbox, HostError> {
        let name = self.status.name().to_owned();
        match self.status.role() {
            Some(PluginRole::Sink) => {}
            Some(PluginRole::Filter | PluginRole::Enricher) => {
                return Err(HostError::NotASink(name));
            }
            None => return Err(self.not_running(name)),
        }
        match self.status.state() {
            PluginState::Running | PluginState::Quarantined => Ok(self.tests.clone()),
            PluginState::Loading
            | PluginState::Failed
            | PluginState::Missing
            | PluginState::NotConfigured => Err(self.not_running(name)),
        }
    }

    fn not_running(&self, name: String) -> HostError {
        let state = self.status.state().as_str();
        let why = self
            .status
            .error()
            .map_or_else(String::new, |error| format!(": {error}"));
        HostError::Conflict(format!("plugin `{name}` is {state}{why}"))
    }
}
