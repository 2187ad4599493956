//! Starts the data plane so that nothing that happens to the server happens to it.

use std::path::PathBuf;

use tiny_forge_proxy::Client;

use super::{
    RoutingError,
    detached::{Detached, is_in_unit, unit},
};

const UNIT: &str = "tiny-forge-proxy";
const TAKE_OVER: &str = "--take-over";

/// Of the data plane, in that of the server.
pub const FOLDER: &str = "proxy";

/// How to start it.
#[derive(Debug, Clone)]
pub struct Launch {
    pub program: PathBuf,
    /// The server's; the data plane has a folder of its own in it.
    pub data: PathBuf,
    pub under_systemd: bool,
}

impl Launch {
    pub fn folder(&self) -> PathBuf {
        self.data.join(FOLDER)
    }

    /// Returns once it answers.
    pub async fn start(&self, client: &Client) -> Result<(), RoutingError> {
        self.launch(client, None).await
    }

    /// Puts one of this program's version in the place of the one that runs. Nobody is
    /// refused meanwhile. Returns once the new one answers.
    pub async fn replace(&self, client: &Client) -> Result<(), RoutingError> {
        let old = client.hello().await?.pid;
        self.launch(client, Some(old)).await
    }

    async fn launch(&self, client: &Client, old: Option<u32>) -> Result<(), RoutingError> {
        let mut arguments = vec!["proxy".into(), "run".into()];
        arguments.extend(old.map(|_| TAKE_OVER.into()));
        arguments.extend(["--data".into(), self.data.clone().into()]);
        // While one takes over from another there are two.
        let starter = std::process::id();
        let process = Detached {
            unit: format!("{}-{starter}", unit(UNIT, &self.data)),
            description: "Ports held by tiny-forge",
            program: &self.program,
            arguments,
            log: self.folder().join("log"),
            under_systemd: self.under_systemd,
        };
        let somebody_else = || async { client.hello().await.is_ok_and(|it| Some(it.pid) != old) };
        let started = process.start(somebody_else).await;
        started.map_err(RoutingError::NotStarted)
    }
}

/// Whether a process is in a unit of ours.
pub fn is_unit(pid: u32) -> bool {
    is_in_unit(pid, UNIT)
}
