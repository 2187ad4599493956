//! Looks at a candidate from the host: needs nothing inside the image.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

use crate::{
    engine::Inspection,
    model::{HealthSpec, HttpProbe},
};

const TIMEOUT: Duration = Duration::from_secs(2);

/// `None` when no probe is configured.
pub(super) async fn run(health: &HealthSpec, found: &Inspection) -> Option<Result<(), String>> {
    if health.http.is_none() && health.tcp.is_none() {
        return None;
    }
    if let Some(probe) = &health.tcp
        && let Err(why) = tcp(found, probe.port).await
    {
        return Some(Err(why));
    }
    match &health.http {
        Some(probe) => Some(http(found, probe).await),
        None => Some(Ok(())),
    }
}

async fn tcp(found: &Inspection, port: u16) -> Result<(), String> {
    let address = address(found, port)?;
    let connected = tokio::time::timeout(TIMEOUT, TcpStream::connect(address)).await;
    let connected = connected.map_err(|_| format!("{address} does not answer"))?;
    connected
        .map(drop)
        .map_err(|error| format!("{address}: {error}"))
}

async fn http(found: &Inspection, probe: &HttpProbe) -> Result<(), String> {
    http_at(address(found, probe.port)?, probe).await
}

pub(super) async fn http_at(address: SocketAddr, probe: &HttpProbe) -> Result<(), String> {
    let url = format!("http://{address}/{}", probe.path.trim_start_matches('/'));
    // Plain HTTP: the machine's root certificates need not be read each time.
    let client = reqwest::Client::builder()
        .tls_built_in_root_certs(false)
        .no_proxy()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())?;
    let answer = client.get(&url).send().await.map_err(|error| {
        let why = if error.is_timeout() {
            "does not answer"
        } else {
            "refuses the connection"
        };
        format!("{address} {why}")
    })?;
    let status = answer.status().as_u16();
    let good = probe
        .expect_status
        .map_or((200..400).contains(&status), |wanted| wanted == status);
    if good {
        Ok(())
    } else {
        Err(format!("GET {} answers {status}", probe.path))
    }
}

/// The container's own address, else the port that it publishes.
fn address(found: &Inspection, port: u16) -> Result<SocketAddr, String> {
    if let Some(ip) = found.addresses.first() {
        return Ok(SocketAddr::new(*ip, port));
    }
    let published = found
        .instance
        .ports
        .iter()
        .find(|published| published.container == port);
    let published = published.ok_or_else(|| {
        format!("port {port} cannot be reached from here: the container has no address of its own")
    })?;
    Ok(SocketAddr::from(([127, 0, 0, 1], published.host)))
}
