use tokio::signal::unix::{SignalKind, signal};

use super::{Outcome, proxy_status};
use crate::{
    app::App,
    config::{Config, ServeArgs},
};

/// Runs the server until Ctrl-C or SIGTERM.
pub(super) async fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
    let config = Config::load(args)?;
    #[cfg(feature = "failpoints")]
    if let Some((point, time)) = crate::config::failpoint()? {
        crate::failpoint::arm(point, time);
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (plugins, data) = (config.plugins.clone(), config.data.clone());
    let app = App::start(config).await?;
    println!("tiny-forge listens on http://{}", app.address());
    eprintln!("plugins go into {}", plugins.display());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("stopping …");
    app.shutdown().await;
    proxy_status::say_what_is_held(&data).await;
    Ok(Outcome::Done)
}
