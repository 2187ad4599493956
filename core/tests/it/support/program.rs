use std::{path::Path, process::ExitStatus};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use super::{
    binary::Binary,
    sse::{PATIENCE, Sse},
};

pub const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

/// The built program as a server of its own, to be killed.
pub struct Program {
    child: Child,
    pub address: String,
    pub http: Client,
}

impl Program {
    /// On a free port, which it says itself; without an engine.
    pub async fn serve(data: &Path) -> Self {
        Self::serve_with(data, NO_ENGINE).await
    }

    pub async fn serve_with(data: &Path, engine: &str) -> Self {
        let started = Self::start(&Binary::new(), data, engine).await;
        started.expect("it says where it listens")
    }

    /// On a machine that trusts what is in this file.
    pub async fn serve_trusting(data: &Path, certificates: &Path) -> Self {
        let file = certificates.to_str().expect("a path in UTF-8");
        let binary = Binary::new().with("SSL_CERT_FILE", file);
        Self::serve_as(data, NO_ENGINE, &binary).await
    }

    /// In this environment.
    pub async fn serve_as(data: &Path, engine: &str, binary: &Binary) -> Self {
        let started = Self::start(binary, data, engine).await;
        started.expect("it says where it listens")
    }

    /// A server that kills itself at a failpoint; `None` if it has already.
    pub async fn serve_armed(data: &Path, engine: &str, failpoint: &str) -> Option<Self> {
        Self::serve_armed_as(data, engine, Binary::new(), failpoint).await
    }

    /// The same in this environment.
    pub async fn serve_armed_as(
        data: &Path,
        engine: &str,
        binary: Binary,
        failpoint: &str,
    ) -> Option<Self> {
        let binary = binary.with("TINY_FORGE_FAILPOINT", failpoint);
        Self::start(&binary, data, engine).await
    }

    async fn start(binary: &Binary, data: &Path, engine: &str) -> Option<Self> {
        let data = data.to_str().expect("a path in UTF-8");
        let mut child = binary.spawn(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data,
            "--engine",
            engine,
        ]);
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = tokio::time::timeout(PATIENCE, said.next_line()).await;
        let line = line.expect("it starts or ends in time").expect("a pipe")?;
        let address = line.strip_prefix("tiny-forge listens on ");
        Some(Self {
            child,
            address: address.expect("an address").to_owned(),
            http: Client::builder().no_proxy().build().expect("a client"),
        })
    }

    pub async fn sse(&self, path: &str, last_id: Option<&str>) -> Sse {
        Sse::open(&self.http, &format!("{}{path}", self.address), last_id).await
    }

    pub async fn json(&self, path: &str) -> Value {
        let get = self.http.get(format!("{}{path}", self.address));
        let answer = get.header("accept", "application/json").send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.expect("JSON")
    }

    /// Publishes one event.
    pub async fn create_project(&self, name: &str) {
        let body = json!({"name": name, "spec": {"image": "app:1"}});
        let url = format!("{}/api/projects", self.address);
        let answer = self.http.post(url).json(&body).send().await;
        assert_eq!(answer.expect("an answer").status(), 201);
    }

    /// Ends it as `signal` does.
    pub async fn end(self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.ended().await
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub fn signal(&self, signal: Signal) {
        let id = self.id();
        let id = Pid::from_raw(id.cast_signed()).expect("a process id");
        kill_process(id, signal).expect("it is ours");
    }

    pub async fn ended(mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends in time").expect("our child")
    }
}
