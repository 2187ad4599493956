//! The process under test, as a task.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;
use tiny_forge_proxy::{Client, Drained, Ended, Route, ServeError, Start, UpstreamStatus, serve};
use tokio::{sync::oneshot, task::JoinSet};

use super::{eventually, in_time};

pub struct Proxy {
    dir: Arc<TempDir>,
    task: JoinSet<Result<Ended, ServeError>>,
    shutdown: oneshot::Sender<()>,
    pub client: Client,
}

impl Proxy {
    pub async fn start() -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a folder"));
        Self::start_in(&dir).await
    }

    /// Returns once it answers.
    pub async fn start_in(dir: &Arc<TempDir>) -> Self {
        let proxy = Self::launch(dir, Start::Alone);
        eventually("the proxy answers", async || {
            proxy.client.hello().await.is_ok()
        })
        .await;
        proxy
    }

    pub fn launch(dir: &Arc<TempDir>, start: Start) -> Self {
        let (shutdown, is_shut_down) = oneshot::channel();
        let mut task = JoinSet::new();
        let path = dir.path().to_owned();
        task.spawn(async move {
            let shutdown = async {
                let _ = is_shut_down.await;
            };
            serve(&path, start, shutdown).await
        });
        Self {
            dir: dir.clone(),
            task,
            shutdown,
            client: Client::new(dir.path()),
        }
    }

    pub fn folder(&self) -> &Arc<TempDir> {
        &self.dir
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// As a crash would.
    pub async fn kill(mut self) -> Arc<TempDir> {
        self.task.shutdown().await;
        self.dir
    }

    pub async fn shut_down(self) -> Ended {
        self.shutdown.send(()).expect("it runs");
        Self::outcome(self.task).await
    }

    /// Waits until it ends by itself.
    pub async fn ended(self) -> Ended {
        Self::outcome(self.task).await
    }

    async fn outcome(mut task: JoinSet<Result<Ended, ServeError>>) -> Ended {
        let ended = in_time("the proxy ends", task.join_next()).await;
        let ended = ended.expect("a task").expect("no panic");
        ended.expect("no error")
    }

    pub async fn put(&self, listen: SocketAddr, upstream: SocketAddr, generation: u64) {
        let route = route(listen, upstream, generation);
        self.client.put(&route).await.expect("a route");
    }

    /// Until all have left by themselves.
    pub async fn drain(&self, listen: SocketAddr, upstream: SocketAddr) {
        let deadline = Duration::from_secs(60);
        let drained = self.client.drain(listen, upstream, deadline, |_| {});
        let drained = in_time("all have left", drained).await;
        assert_eq!(drained.expect("drained"), Drained { cut: 0 });
    }

    pub async fn upstream(&self, listen: SocketAddr, upstream: SocketAddr) -> UpstreamStatus {
        let routes = self.client.routes().await.expect("routes");
        let route = routes.into_iter().find(|it| it.listen == listen);
        let mut upstreams = route.expect("the route").upstreams.into_iter();
        let found = upstreams.find(|it| it.upstream == upstream);
        found.expect("the upstream")
    }
}

pub fn route(listen: SocketAddr, upstream: SocketAddr, generation: u64) -> Route {
    Route {
        listen,
        upstream,
        lane: "shop/prod".to_owned(),
        generation,
    }
}
