//! What everything is built on, and the parts that work without being asked.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::Config,
    deploys::{self, DeployParts, Deploys},
    engine::{self, Engine},
    events::{Bus, Log, vital_task},
    instances::{self, Planned, WatcherParts},
    model::Timestamp,
    plugin_host::{HostParts, PluginHost},
    routing::{self, Caddy, DataPlane, Launch},
    store::{self, DataDir, Keyring, Retention, Store, StoreThreads, Trimmer},
};

/// What everything else is built on.
pub(super) struct Base {
    begun: Timestamp,
    pub data: DataDir,
    pub store: Store,
    pub writer: StoreThreads,
    pub bus: Bus,
    keyring: Arc<Keyring>,
    pub engine: Engine,
    planned: Planned,
    pub working: CancellationToken,
    pub tasks: TaskTracker,
}

impl Base {
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let begun = Timestamp::now();
        let data = DataDir::open(&config.data)?;
        let log = Log::new();
        let (store, writer) = Store::open(&data.database(), &log)
            .with_context(|| format!("cannot open `{}`", data.database().display()))?;
        store::finish_rotation(&data).context("a change of the key cannot be ended")?;
        let keyring = Keyring::open(data.path())
            .with_context(|| format!("cannot use `{}`", data.path().join("key").display()))?;
        let engine = Engine::new(&config.engine);
        Ok(Self {
            begun,
            data,
            bus: Bus::new(store.clone(), log),
            store,
            writer,
            keyring: Arc::new(keyring),
            planned: Planned::new(engine.clone()),
            engine,
            working: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// For as long as the process lives.
    fn spawn(&self, what: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(vital_task(what, work));
    }

    /// What the journal and the way to the engine need all the time.
    pub fn keep_up(&self, config: &Config) {
        let (store, token) = (self.store.clone(), self.working.clone());
        let check = store::run_check(store.clone(), token.clone());
        self.tasks.spawn(check);
        let retention = keep_journal(store, self.bus.clone(), config.retention, token.clone());
        self.spawn("retention", retention);
        self.spawn("the engine's watch", self.engine.clone().run(token));
    }

    pub async fn plugins(
        &self,
        config: &Config,
        address: SocketAddr,
        guests: &Runtime,
    ) -> anyhow::Result<PluginHost> {
        let plugins = PluginHost::new(HostParts {
            store: self.store.clone(),
            bus: self.bus.clone(),
            keyring: self.keyring.clone(),
            folder: config.plugins.clone(),
            cache: self.data.path().join("cache"),
            accepted: self.data.path().join("accepted"),
            compiler: config.compiler.clone(),
            public_url: config.public_url.clone(),
            blocked: [vec![address], engine::addresses(&config.engine).await].concat(),
            runtime: guests.handle().clone(),
            forget_after: config.forget_after,
        })?;
        self.spawn("the plugin host", plugins.clone().run(self.working.clone()));
        Ok(plugins)
    }

    /// With the way to what they serve, and the watch over it.
    pub async fn deploys(&self, config: &Config) -> anyhow::Result<Deploys> {
        let launch = Launch {
            program: config.program.clone(),
            data: self.data.path().to_owned(),
            under_systemd: config.under_systemd,
        };
        let data_plane = DataPlane::new(launch.clone());
        let caddy = Caddy::new(config.caddy.clone(), launch);
        let routing = routing::run(
            data_plane.clone(),
            caddy.clone(),
            self.store.clone(),
            self.bus.clone(),
            self.working.clone(),
        );
        self.spawn("routing", routing);
        let node = self.store.read(|reader| reader.node()).await?;
        let deploys = Deploys::new(DeployParts {
            store: self.store.clone(),
            bus: self.bus.clone(),
            engine: self.engine.clone(),
            keyring: self.keyring.clone(),
            planned: self.planned.clone(),
            data_plane,
            caddy,
            network: format!("tiny-forge-{node}"),
            caps: config.caps,
            docker_config: config.docker_config.clone(),
            tasks: self.tasks.clone(),
        });
        deploys.plan_interrupted().await?;
        let watched_with = WatcherParts {
            store: self.store.clone(),
            engine: self.engine.clone(),
            keyring: self.keyring.clone(),
            planned: self.planned.clone(),
            begun: self.begun,
        };
        self.spawn(
            "instances",
            instances::run(watched_with, self.working.clone()),
        );
        self.spawn(
            "deploys",
            deploys::run(deploys.clone(), self.working.clone()),
        );
        Ok(deploys)
    }
}

/// What has to go goes first: it is not taken into memory again.
async fn keep_journal(store: Store, bus: Bus, retention: Retention, token: CancellationToken) {
    let mut trimmer = Trimmer::new(store, retention);
    trimmer.trim_all(&token).await;
    bus.recall().await;
    drop(bus);
    trimmer.run(token).await;
}
