//! The composition root: builds every part, runs it, and ends it in order.

mod base;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tiny_forge_proxy::descriptors_max;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle, Runtime},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::base::Base;
use crate::{
    api::{self, AllowedHosts, ApiState, Parts},
    config::Config,
    events::{Bus, Fanout, Replay, vital_task},
    model::Severity,
    store::{DataDir, StoreThreads},
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
        let base = Base::open(&config)?;
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!(
                "cannot listen on {}: choose another address with --listen",
                config.listen
            )
        })?;
        let address = listener.local_addr()?;
        base.keep_up(&config);
        let guests = guest_runtime()?;
        let plugins = base.plugins(&config, address, &guests).await?;
        let deploys = base.deploys(&config).await?;

        let replay: Arc<dyn Replay> = Arc::new(base.bus.past().clone());
        let fanout = Fanout::start(base.bus.log(), &replay, &Handle::current())
            .context("cannot start the fan-out threads")?;
        drop(replay);
        let Base {
            data,
            store,
            writer,
            bus,
            engine,
            working,
            tasks,
            ..
        } = base;
        let (serving, requests) = (CancellationToken::new(), TaskTracker::new());
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

async fn end(what: &str, tracker: &TaskTracker, grace: Duration) {
    tracker.close();
    if tokio::time::timeout(grace, tracker.wait()).await.is_err() {
        tracing::warn!(what, left = tracker.len(), "did not end in time");
    }
}
