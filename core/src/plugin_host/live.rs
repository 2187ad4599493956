//! What runs now, and how it is ended.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    HostError,
    config::{FileError, PipelineConfig},
    delivery::TestMailbox,
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
    pub wake: Arc<Notify>,
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

    /// Asks them to end and waits for the call that is under way.
    pub async fn end(&self) {
        self.token.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl LivePlugin {
    pub fn wake(&self) {
        self.wake.notify_one();
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
