//! An app for containers: tells its version, takes uploads, and echoes what is sent over
//! an upgraded connection.
//!
//! `app VERSION PORT`, until it is told to stop.

#[allow(dead_code, reason = "tests of this crate use the rest")]
#[path = "../tests/it/support/app.rs"]
mod app;

use std::net::SocketAddr;

use tokio::signal::unix::{SignalKind, signal};

/// Where an app listens that is not told.
fn address() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let version = arguments.next().and_then(|it| it.parse().ok());
    let port = arguments.next().and_then(|it| it.parse().ok());
    let (Some(version), Some(port)) = (version, port) else {
        eprintln!("usage: app VERSION PORT");
        return;
    };
    let mut terminate = signal(SignalKind::terminate()).expect("a signal");
    let _app = app::App::start_at(version, SocketAddr::from(([0, 0, 0, 0], port))).await;
    terminate.recv().await;
}
