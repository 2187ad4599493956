//! Makes what runs equal to what the folder says.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{
    FutureExt,
    future::{join_all, select_all},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    PluginHost,
    config::{PipelineConfig, Source},
    delivery::{Inbox, SinkTask},
    folder::View,
    live::{Live, LivePipeline, LivePlugin, Tasks},
    pipeline::{PipelineStatus, PipelineTask, SinkQueue},
    plugin::{PluginStatus, Runner, Supervisor, Versions, Wanted},
};
use crate::model::{PluginRole, SecretName};

/// Tests that may wait for one sink.
const TESTS_WAITING: usize = 4;

/// What is said of a task that has panicked.
const BROKEN: &str = "an error of tiny-forge's own ended it, which its log has: restart the \
                      server, and report it";

impl PluginHost {
    /// What has to wait for the end of its predecessor is for the next time: see
    /// [`Self::one_has_ended`].
    pub(super) fn reconcile(&self, view: &View) {
        let wanted = wanted_plugins(view);
        self.end_pipelines(view, &wanted);
        self.end_plugins(&wanted);
        for (name, wanted) in &wanted {
            self.want(name, wanted);
        }
        for (name, config) in &view.pipelines {
            if self.may_start(name, config, &wanted) {
                self.start_pipeline(name, config);
            }
        }
        let mut live = self.live();
        live.errors.clone_from(&view.errors);
        live.secret_users = secret_users(view);
    }

    /// Waits until something that was asked to end is over.
    pub(super) async fn one_has_ended(&self) {
        let tasks = self.live().ending.tasks();
        if tasks.is_empty() {
            std::future::pending::<()>().await;
        }
        select_all(tasks.iter().map(|it| Box::pin(it.ended()))).await;
        self.live().ending.clear();
    }

    /// Ends everything, pipelines first: they still call plugins.
    pub(super) async fn end_all(&self) {
        let (nothing, nobody) = (View::default(), BTreeMap::new());
        self.end_pipelines(&nothing, &nobody);
        self.all_have_ended().await;
        self.end_plugins(&nobody);
        self.all_have_ended().await;
    }

    async fn all_have_ended(&self) {
        let tasks = self.live().ending.tasks();
        join_all(tasks.iter().map(Tasks::ended)).await;
    }

    fn want(&self, name: &str, wanted: &Wanted) {
        let mut live = self.live();
        if let Some(plugin) = live.plugins.get(name) {
            plugin.wanted.send_if_modified(|known| {
                let changed = *known != *wanted;
                if changed {
                    known.clone_from(wanted);
                }
                changed
            });
            return;
        }
        if !live.ending.has_plugin(name) {
            let plugin = self.start_plugin(name, wanted.clone());
            live.plugins.insert(name.to_owned(), plugin);
        }
    }

    /// Not beside its predecessor, nor before a plugin that waits for its own.
    fn may_start(
        &self,
        name: &str,
        config: &PipelineConfig,
        wanted: &BTreeMap<String, Wanted>,
    ) -> bool {
        let live = self.live();
        let is_to_come =
            |plugin: &str| wanted.contains_key(plugin) && !live.plugins.contains_key(plugin);
        !live.ending.has_pipeline(name) && !config.plugins().any(is_to_come)
    }

    fn start_plugin(&self, name: &str, wanted: Wanted) -> LivePlugin {
        let shared = self.shared();
        let status = Arc::new(PluginStatus::new(
            name,
            file_of(&wanted),
            Some(shared.bus.clone()),
        ));
        let (wanted, receiver) = watch::channel(wanted);
        let (supervisor, versions) = Supervisor::new(shared.kit.clone(), status.clone(), receiver);
        let (tests, mailbox) = mpsc::channel(TESTS_WAITING);
        let inbox = Arc::new(Inbox::default());
        let tasks = Tasks::new();
        let sink = SinkTask {
            runner: self.runner(&versions, &status),
            store: shared.store.clone(),
            inbox: inbox.clone(),
            tests: mailbox,
            public_url: shared.public_url.clone(),
            pause: None,
        };
        let spawn = |task| {
            let status = status.clone();
            let told = guarded(task, move || status.broken(BROKEN.to_owned()));
            tasks.tracker.spawn_on(told, &shared.runtime);
        };
        spawn(boxed(supervisor.run(tasks.token.clone())));
        spawn(boxed(run_if_sink(
            sink,
            versions.clone(),
            tasks.token.clone(),
        )));
        LivePlugin {
            status,
            wanted,
            versions,
            inbox,
            tests,
            tasks,
        }
    }

    fn start_pipeline(&self, name: &str, config: &PipelineConfig) {
        let mut live = self.live();
        if live.pipelines.contains_key(name) {
            return;
        }
        let given = given(&live.plugins, config);
        let status = Arc::new(PipelineStatus::new(name));
        let tasks = Tasks::new();
        let plugin = |name: &str| live.plugins.get(name);
        let missing = config.plugins().find(|name| plugin(name).is_none());
        if let Some(missing) = missing {
            status.fail(format!(
                "plugin `{missing}` is not configured: add [plugin.{missing}]"
            ));
        } else {
            let steps = config.steps.iter().filter_map(|step| plugin(&step.plugin));
            let sinks = config.sinks.iter().filter_map(|sink| plugin(sink));
            let shared = self.shared();
            let task = PipelineTask {
                name: name.to_owned(),
                config: config.clone(),
                steps: steps
                    .map(|it| self.runner(&it.versions, &it.status))
                    .collect(),
                sinks: sinks
                    .map(|it| SinkQueue {
                        name: it.status.name().to_owned(),
                        inbox: it.inbox.clone(),
                        versions: it.versions.clone(),
                        metrics: it.status.metrics().clone(),
                    })
                    .collect(),
                status: status.clone(),
                bus: shared.bus.clone(),
                store: shared.store.clone(),
                server_started_at: shared.started_at,
            };
            let broken = status.clone();
            let running = guarded(task.run(tasks.token.clone()), move || {
                broken.fail(BROKEN.to_owned());
            });
            tasks.tracker.spawn_on(running, &shared.runtime);
        }
        let pipeline = LivePipeline {
            config: config.clone(),
            status,
            given,
            tasks,
        };
        live.pipelines.insert(name.to_owned(), pipeline);
    }

    fn runner(&self, versions: &Versions, status: &Arc<PluginStatus>) -> Runner {
        let shared = self.shared();
        let sandbox = shared.kit.sandbox.clone();
        Runner::new(sandbox, versions.clone(), status.clone())
    }

    /// Those that are gone or changed, or that use a plugin which will go.
    fn end_pipelines(&self, view: &View, wanted: &BTreeMap<String, Wanted>) {
        let mut live = self.live();
        let Live {
            plugins,
            pipelines,
            ending,
            ..
        } = &mut *live;
        let stays = |name: &String, pipeline: &LivePipeline| {
            let same = view.pipelines.get(name) == Some(&pipeline.config);
            let now = given(plugins, &pipeline.config);
            let same_plugins = now.iter().zip(&pipeline.given).all(|pair| match pair {
                (Some(now), Some(then)) => Arc::ptr_eq(now, then),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            });
            let all_stay = pipeline
                .config
                .plugins()
                .all(|plugin| plugins.contains_key(plugin) == wanted.contains_key(plugin));
            same && same_plugins && all_stay
        };
        for (name, pipeline) in pipelines.extract_if(.., |name, it| !stays(name, it)) {
            ending.add_pipeline(name, pipeline);
        }
    }

    fn end_plugins(&self, wanted: &BTreeMap<String, Wanted>) {
        let mut live = self.live();
        let Live {
            plugins, ending, ..
        } = &mut *live;
        for (name, plugin) in plugins.extract_if(.., |name, _| !wanted.contains_key(name)) {
            ending.add_plugin(name, plugin);
        }
    }
}

fn given(
    plugins: &BTreeMap<String, LivePlugin>,
    config: &PipelineConfig,
) -> Vec<Option<Arc<PluginStatus>>> {
    let names = config.plugins();
    names
        .map(|name| plugins.get(name).map(|plugin| plugin.status.clone()))
        .collect()
}

fn secret_users(view: &View) -> BTreeMap<SecretName, Vec<String>> {
    let mut users: BTreeMap<SecretName, Vec<String>> = BTreeMap::new();
    for (plugin, config) in &view.plugins {
        for name in config.stored_secrets() {
            users.entry(name.clone()).or_default().push(plugin.clone());
        }
    }
    users
}

/// Configured plugins by their name, other files by their file name.
fn wanted_plugins(view: &View) -> BTreeMap<String, Wanted> {
    let mut wanted = BTreeMap::new();
    for (name, config) in &view.plugins {
        let stamp = match &config.source {
            Source::Builtin(_) => None,
            Source::File(file) => view.wasm.get(file).copied(),
        };
        let wish = match (&config.source, stamp) {
            (Source::File(file), None) => Wanted::Missing { file: file.clone() },
            (Source::Builtin(_), _) | (Source::File(_), Some(_)) => Wanted::Run {
                config: Box::new(config.clone()),
                stamp,
            },
        };
        wanted.insert(name.clone(), wish);
    }
    let used = |file: &String| {
        let source = Source::File(file.clone());
        view.plugins.values().any(|config| config.source == source)
    };
    for (file, stamp) in view.wasm.iter().filter(|(file, _)| !used(file)) {
        let wish = Wanted::Describe {
            file: file.clone(),
            stamp: *stamp,
        };
        wanted.insert(file.clone(), wish);
    }
    wanted
}

fn file_of(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Run { config, .. } => config.source.to_string(),
        Wanted::Describe { file, .. } | Wanted::Missing { file } => file.clone(),
    }
}

/// Its role is only known once its first version is.
async fn run_if_sink(sink: SinkTask, mut versions: Versions, token: CancellationToken) {
    let role = tokio::select! {
        () = token.cancelled() => return,
        found = versions.wait_for(Option::is_some) => match found {
            Ok(version) => version.as_ref().map(|version| version.module.role()),
            Err(_) => return,
        },
    };
    if role == Some(PluginRole::Sink) {
        sink.run(token).await;
    }
}

/// A panic is ours, and ends one task: whoever waits for that has to be told.
async fn guarded(task: impl Future<Output = ()>, tell: impl FnOnce()) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        tell();
    }
}

fn boxed(
    task: impl Future<Output = ()> + Send + 'static,
) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(task)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::guarded;

    #[tokio::test]
    async fn whoever_waits_for_a_task_is_told_only_when_it_panics() {
        let told = Cell::new(0);
        let tell = || told.set(told.get() + 1);
        guarded(async {}, tell).await;
        assert_eq!(told.get(), 0);
        guarded(async { panic!("ours") }, tell).await;
        assert_eq!(told.get(), 1);
    }
}
