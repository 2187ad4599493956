//! Sees that the data plane runs while ports are held, and Caddy while there are domains,
//! and that they lead where the store says: after a crash, a restored backup, a reboot.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tiny_forge_proxy::Route;
use tokio_util::sync::CancellationToken;

use super::{Caddy, CaddyError, DataPlane, RoutingError, caddy::Sites, routes, sites};
use crate::{
    events::Bus,
    model::Severity,
    store::{Held, Reader, Store, StoreError},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two comparisons with the store.
const LOOKS: u32 = 60;

/// Runs until `token` is cancelled.
pub async fn run(plane: DataPlane, caddy: Caddy, store: Store, bus: Bus, token: CancellationToken) {
    let kept = keep(&plane, &caddy, &store, &bus);
    token.run_until_cancelled(kept).await;
}

async fn keep(plane: &DataPlane, caddy: &Caddy, store: &Store, bus: &Bus) {
    loop {
        if let Err(error) = compare(plane, store).await {
            tracing::error!(%error, "held ports may lead nowhere; tried again");
        }
        if let Err(error) = compare_sites(caddy, store).await {
            tracing::error!(%error, "domains may lead nowhere; tried again");
        }
        for _ in 0..LOOKS {
            if plane.take_restarted() {
                tell(
                    bus,
                    "proxy_restarted",
                    "the process that holds published ports",
                );
            }
            if caddy.take_restarted() {
                tell(bus, "caddy_restarted", "Caddy, which serves domains,");
            }
            tokio::time::sleep(LOOK_EVERY).await;
            if plane.is_lost().await || caddy.is_lost().await {
                break;
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Routing(#[from] RoutingError),
    #[error(transparent)]
    Caddy(#[from] CaddyError),
}

/// Lanes that are being deployed are left to their deploys: one that begins after the
/// store was read waits for its turn.
async fn compare(plane: &DataPlane, store: &Store) -> Result<(), KeepError> {
    let turn = plane.turn().await;
    let Wanted { held, busy } = store.read(wanted).await?;
    let routes = held.iter().map(|it| (it.lane.to_string(), routes(it)));
    let mut routes: BTreeMap<String, Vec<Route>> = routes.collect();
    if routes.values().any(|routes| !routes.is_empty()) {
        plane.expect_running();
        turn.ensure_running().await?;
    }
    // Routes that were made by hand have no generation.
    let held = plane.held().await?.into_iter().filter_map(|it| it.route);
    for gone in held.filter(|route| route.generation > 0) {
        routes.entry(gone.lane).or_default();
    }
    for (lane, routes) in routes.iter().filter(|(lane, _)| !busy.contains(*lane)) {
        // One that cannot be held keeps nobody from the others.
        if let Err(error) = turn.lead(lane, routes).await {
            tracing::error!(%error, lane, "a port does not lead to who serves; tried again");
        }
    }
    Ok(())
}

/// The same for domains.
async fn compare_sites(caddy: &Caddy, store: &Store) -> Result<(), KeepError> {
    let turn = caddy.turn().await;
    let Wanted { held, busy } = store.read(wanted).await?;
    let mut kept: Sites = turn.sites();
    kept.retain(|lane, _| busy.contains(lane));
    for held in held {
        let lane = held.lane.to_string();
        if !busy.contains(&lane) {
            kept.insert(lane, sites(&held));
        }
    }
    Ok(turn.apply(kept).await?)
}

struct Wanted {
    /// Who serves.
    held: Vec<Held>,
    /// Lanes that are being deployed.
    busy: BTreeSet<String>,
}

fn wanted(reader: &Reader<'_>) -> Result<Wanted, StoreError> {
    let busy = reader.open_deploys()?;
    let busy = busy.into_iter().map(|deploy| deploy.lane.to_string());
    Ok(Wanted {
        held: reader.held()?,
        busy: busy.collect(),
    })
}

fn tell(bus: &Bus, reason: &'static str, who: &str) {
    let message =
        format!("{who} had ended, and was started again: connections through it were cut");
    bus.announce("proxy", Severity::Warning, reason, message);
}
