use std::{path::Path, process::ExitStatus};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use super::{
    binary::Binary,
    sse::{PATIENCE, Sse},
};

/// The built program as a server of its own, to be killed.
pub struct Program {
    child: Child,
    pub address: String,
    pub http: Client,
}

impl Program {
    /// On a free port, which it says itself; without an engine.
    pub async fn serve(data: &Path) -> Self {
        let data = data.to_str().expect("a path in UTF-8");
        let mut child = Binary::new().spawn(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data,
            "--engine",
            "unix:///nonexistent/docker.sock",
        ]);
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = tokio::time::timeout(PATIENCE, said.next_line()).await;
        let line = line.expect("it starts in time").expect("a pipe");
        let line = line.expect("it says where it listens");
        let address = line.strip_prefix("tiny-forge listens on ");
        Self {
            child,
            address: address.expect("an address").to_owned(),
            http: Client::builder().no_proxy().build().expect("a client"),
        }
    }

    pub async fn sse(&self, path: &str, last_id: Option<&str>) -> Sse {
        Sse::open(&self.http, &format!("{}{path}", self.address), last_id).await
    }

    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it runs");
        let id = Pid::from_raw(id.cast_signed()).expect("a process id");
        kill_process(id, signal).expect("it is ours");
    }

    pub async fn ended(mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends in time").expect("our child")
    }
}
