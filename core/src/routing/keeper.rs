//! Sees that the data plane runs while ports are held, and that it leads where the
//! store says: after a crash of either, a restored backup, a reboot.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tiny_forge_proxy::Route;
use tokio_util::sync::CancellationToken;

use super::{DataPlane, RoutingError, routes};
use crate::{
    events::Bus,
    model::Severity,
    store::{Reader, Store, StoreError},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two comparisons with the store.
const LOOKS: u32 = 60;

pub async fn run(plane: DataPlane, store: Store, bus: Bus, token: CancellationToken) {
    token.run_until_cancelled(keep(&plane, &store, &bus)).await;
}

async fn keep(plane: &DataPlane, store: &Store, bus: &Bus) {
    loop {
        if let Err(error) = compare(plane, store).await {
            tracing::error!(%error, "held ports may lead nowhere; tried again");
        }
        for _ in 0..LOOKS {
            if plane.take_restarted() {
                tell(bus);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            if plane.is_lost().await {
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
}

/// Lanes that are being deployed are left to their deploys: one that begins after the
/// store was read waits for its turn.
async fn compare(plane: &DataPlane, store: &Store) -> Result<(), KeepError> {
    let turn = plane.turn().await;
    let Wanted { mut routes, busy } = store.read(wanted).await?;
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

struct Wanted {
    /// By lane what leads to whom serves.
    routes: BTreeMap<String, Vec<Route>>,
    /// Lanes that are being deployed.
    busy: BTreeSet<String>,
}

fn wanted(reader: &Reader<'_>) -> Result<Wanted, StoreError> {
    let held = reader.held()?;
    let routes = held
        .iter()
        .map(|held| (held.lane.to_string(), routes(held)));
    let busy = reader.open_deploys()?;
    let busy = busy.into_iter().map(|deploy| deploy.lane.to_string());
    Ok(Wanted {
        routes: routes.collect(),
        busy: busy.collect(),
    })
}

fn tell(bus: &Bus) {
    let message = "the process that holds published ports had ended, and was started again: \
                   connections through it were cut";
    bus.announce(
        "proxy",
        Severity::Warning,
        "proxy_restarted",
        message.to_owned(),
    );
}
