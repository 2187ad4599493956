//! The composition root: builds every part, runs it, and ends it in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tiny_forge_proxy::descriptors_max;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle, Runtime},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::{self, AllowedHosts, ApiState, Parts},
    config::Config,
    deploys::{self, DeployParts, Deploys},
    engine::{self, Engine},
    events::{Bus, Fanout, Log, Replay, vital_task},
    instances::{self, Planned, WatcherParts},
    model::{Severity, Timestamp},
    plugin_host::{HostParts, PluginHost},
    routing::{self, Caddy, DataPlane, Launch},
    store::{self, DataDir, Keyring, Retention, Store, StoreThreads, Trimmer},
};

/// Grace for requests in flight, then for everything else.
const REQUESTS_GRACE: Duration = Duration::from_secs(2);
const TASKS_GRACE: Duration = Duration::from_secs(6);
const STORE_GRACE: Duration = Duration::from_secs(2);

/// A running server.
pub struct App {
    address: SocketAddr,
    /// Ends event streams and stops accepting connections.
    serving: CancellationToken,
    /// Ends every other task.
    working: CancellationToken,
    requests: TaskTracker,
    tasks: TaskTracker,
    bus: Bus,
    fanout: Fanout,
    writer: StoreThreads,
    /// Where guests run, apart from HTTP, Docker and streams.
    guests: Runtime,
    /// Last to go: nobody else may open the directory before.
    _data: DataDir,
}

impl App {
    /// Starts everything; the address is bound when this returns.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let begun = Timestamp::now();
        let data = DataDir::open(&config.data)?;
        let log = Log::new();
        let (store, writer) = Store::open(&data.database(), &log)
            .with_context(|| format!("cannot open `{}`", data.database().display()))?;
        let bus = Bus::new(store.clone(), log);
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!(
                "cannot listen on {}: choose another address with --listen",
                config.listen
            )
        })?;
        let address = listener.local_addr()?;
        let (serving, working) = (CancellationToken::new(), CancellationToken::new());
        let (requests, tasks) = (TaskTracker::new(), TaskTracker::new());

        let retention = keep_journal(
            store.clone(),
            bus.clone(),
            config.retention,
            working.clone(),
        );
        tasks.spawn(vital_task("retention", retention));
        tasks.spawn(store::run_check(store.clone(), working.clone()));

        store::finish_rotation(&data).context("a change of the key cannot be ended")?;
        let keyring = Keyring::open(data.path())
            .with_context(|| format!("cannot use `{}`", data.path().join("key").display()))?;
        let keyring = Arc::new(keyring);
        let engine = Engine::new(&config.engine);
        let planned = Planned::new(engine.clone());
        tasks.spawn(vital_task(
            "the engine's watch",
            engine.clone().run(working.clone()),
        ));

        let guests = guest_runtime()?;
        let plugins = PluginHost::new(HostParts {
            store: store.clone(),
            bus: bus.clone(),
            keyring: keyring.clone(),
            folder: config.plugins,
            cache: data.path().join("cache"),
            accepted: data.path().join("accepted"),
            compiler: config.compiler,
            public_url: config.public_url.clone(),
            blocked: [vec![address], engine::addresses(&config.engine).await].concat(),
            runtime: guests.handle().clone(),
            forget_after: config.forget_after,
        })?;
        tasks.spawn(vital_task(
            "the plugin host",
            plugins.clone().run(working.clone()),
        ));

        let launch = Launch {
            program: config.program,
            data: data.path().to_owned(),
            under_systemd: config.under_systemd,
        };
        let data_plane = DataPlane::new(launch.clone());
        let caddy = Caddy::new(config.caddy, launch);
        let routing = routing::run(
            data_plane.clone(),
            caddy.clone(),
            store.clone(),
            bus.clone(),
            working.clone(),
        );
        tasks.spawn(vital_task("routing", routing));
        let node = store.read(|reader| reader.node()).await?;
        let deploys = Deploys::new(DeployParts {
            store: store.clone(),
            bus: bus.clone(),
            engine: engine.clone(),
            keyring: keyring.clone(),
            planned: planned.clone(),
            data_plane,
            caddy,
            network: format!("tiny-forge-{node}"),
            caps: config.caps,
            docker_config: config.docker_config,
            tasks: tasks.clone(),
        });
        deploys.plan_interrupted().await?;
        let watched_with = WatcherParts {
            store: store.clone(),
            engine: engine.clone(),
            keyring,
            planned,
            begun,
        };
        let watching = instances::run(watched_with, working.clone());
        tasks.spawn(vital_task("instances", watching));
        let deploying = deploys::run(deploys.clone(), working.clone());
        tasks.spawn(vital_task("deploys", deploying));

        let replay: Arc<dyn Replay> = Arc::new(store.clone());
        let fanout = Fanout::start(bus.log(), &replay, &Handle::current())
            .context("cannot start the fan-out threads")?;
        drop(replay);
        let state = ApiState::new(Parts {
            deploys,
            plugins,
            store,
            bus: bus.clone(),
            fanout: fanout.clone(),
            engine,
            limits: config.limits.within(descriptors_max()),
            public_url: config.public_url,
            stopping: serving.clone(),
        });
        let router = api::router(state, AllowedHosts::new(&config.hosts));
        let answering = api::serve(listener, router, serving.clone());
        requests.spawn(vital_task("HTTP", answering));
        let message = format!("tiny-forge {} started", env!("CARGO_PKG_VERSION"));
        bus.announce("server", Severity::Info, "started", message);
        Ok(Self {
            address,
            serving,
            working,
            requests,
            tasks,
            bus,
            fanout,
            writer,
            guests,
            _data: data,
        })
    }

    /// The address that is really bound, also when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where facts are published: for programs that embed the server.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Ends everything within ten seconds, in this order: streams and new
    /// connections, requests in flight, the work behind them, the store.
    pub async fn shutdown(self) {
        let Self {
            serving,
            working,
            requests,
            tasks,
            bus,
            fanout,
            writer,
            guests,
            _data,
            address: _,
        } = self;
        let message = "tiny-forge is stopping".to_owned();
        bus.announce("server", Severity::Info, "stopping", message);
        serving.cancel();
        let streams = fanout.clone();
        if tokio::task::spawn_blocking(move || streams.stop())
            .await
            .is_err()
        {
            tracing::error!("event streams ended without a farewell");
        }
        end("requests", &requests, REQUESTS_GRACE).await;
        working.cancel();
        end("tasks", &tasks, TASKS_GRACE).await;
        guests.shutdown_background();
        drop((bus, fanout));
        let joined = tokio::task::spawn_blocking(move || writer.join());
        if tokio::time::timeout(STORE_GRACE, joined).await.is_err() {
            tracing::warn!("the store is still held by a task that did not end in time");
        }
    }
}

/// Two threads are enough for guests, and all that they can ever take.
fn guest_runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("plugins")
        .enable_all()
        .build()
}

/// What has to go goes first: it is not taken into memory again.
async fn keep_journal(store: Store, bus: Bus, retention: Retention, token: CancellationToken) {
    let mut trimmer = Trimmer::new(store, retention);
    trimmer.trim_all(&token).await;
    bus.recall().await;
    drop(bus);
    trimmer.run(token).await;
}

async fn end(what: &str, tracker: &TaskTracker, grace: Duration) {
    tracker.close();
    if tokio::time::timeout(grace, tracker.wait()).await.is_err() {
        tracing::warn!(what, left = tracker.len(), "did not end in time");
    }
}
