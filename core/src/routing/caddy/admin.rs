//! Caddy's own API, on a socket in its folder.

use std::{path::PathBuf, time::Duration};

use reqwest::Client;
use serde_json::Value;
use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};

const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// It reads certificates meanwhile.
const LOADS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Whom it takes requests from, by their `Host`.
pub(super) const HOST: &str = "localhost";

pub(super) struct Admin {
    socket: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("Caddy does not answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("Caddy refuses its configuration: {0}")]
    Refused(String),
    #[error("Caddy does not end, though it says so")]
    GoesOn,
}

impl Admin {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) async fn runs(&self) -> bool {
        UnixStream::connect(&self.socket).await.is_ok()
    }

    pub(super) async fn config(&self) -> Result<Value, AdminError> {
        let client = self.client(ANSWERS_WITHIN)?;
        Ok(client.get(url("config/")).send().await?.json().await?)
    }

    /// In force when this returns; what was in force stays if it is refused.
    pub(super) async fn load(&self, config: &Value) -> Result<(), AdminError> {
        let client = self.client(LOADS_WITHIN)?;
        let answer = client.post(url("load")).json(config).send().await?;
        if answer.status().is_success() {
            return Ok(());
        }
        let said: Value = answer.json().await?;
        let why = said["error"].as_str().unwrap_or("it does not say why");
        Err(AdminError::Refused(why.to_owned()))
    }

    /// It has ended when this returns.
    pub(super) async fn stop(&self) -> Result<(), AdminError> {
        let asked = self.client(ANSWERS_WITHIN)?.post(url("stop")).send();
        match asked.await {
            // It may end faster than it answers.
            Err(error) if error.is_timeout() => return Err(error.into()),
            _ => {}
        }
        let ended = async {
            while self.runs().await {
                sleep(LOOK_EVERY).await;
            }
        };
        let ended = timeout(ANSWERS_WITHIN, ended).await;
        ended.map_err(|_| AdminError::GoesOn)
    }

    fn client(&self, patience: Duration) -> Result<Client, reqwest::Error> {
        Client::builder()
            .unix_socket(self.socket.as_path())
            .tls_built_in_root_certs(false)
            .no_proxy()
            .timeout(patience)
            .build()
    }
}

fn url(path: &str) -> String {
    format!("http://{HOST}/{path}")
}
