//! Sees that the data plane runs while ports are held, and Caddy while there are domains,
//! and that they lead where the store says: after a crash, a restored backup, a reboot.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tiny_forge_proxy::Route;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Caddy, CaddyError, DataPlane, RoutingError, Site, caddy::Sites, routes, sites};
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
    // One that hangs keeps nobody from the other.
    let kept = async {
        tokio::join!(
            keep_plane(&plane, &store, &bus),
            keep_caddy(&caddy, &store, &bus)
        )
    };
    token.run_until_cancelled(kept).await;
}

async fn keep_plane(plane: &DataPlane, store: &Store, bus: &Bus) {
    loop {
        if let Err(error) = compare(plane, store).await {
            tracing::error!(%error, "held ports may lead nowhere; tried again");
        }
        for _ in 0..LOOKS {
            if plane.take_restarted() {
                tell_restarted(
                    bus,
                    "proxy_restarted",
                    "the process that holds published ports",
                );
            }
            sleep(LOOK_EVERY).await;
            if plane.is_lost().await {
                break;
            }
        }
    }
}

async fn keep_caddy(caddy: &Caddy, store: &Store, bus: &Bus) {
    let mut is_down = false;
    loop {
        let compared = compare_sites(caddy, store).await;
        let was_down = std::mem::replace(&mut is_down, compared.is_err());
        match compared {
            Err(error) if !was_down => {
                let message = format!("domains may lead nowhere; tried again: {error}");
                bus.announce("proxy", Severity::Error, "domains_down", message);
            }
            Ok(()) if was_down => {
                let message = "domains are served again".to_owned();
                bus.announce("proxy", Severity::Info, "domains_up", message);
            }
            _ => {}
        }
        for _ in 0..LOOKS {
            if caddy.take_restarted() {
                tell_restarted(bus, "caddy_restarted", "Caddy, which serves domains,");
            }
            sleep(LOOK_EVERY).await;
            if caddy.is_lost().await {
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
    let now = turn.sites();
    let mut wanted = now.clone();
    wanted.retain(|lane, _| busy.contains(lane));
    for held in held {
        let lane = held.lane.to_string();
        if !busy.contains(&lane) {
            wanted.insert(lane, sites(&held));
        }
    }
    Ok(turn.apply(settled(&now, wanted)).await?)
}

/// A name that several lanes want leads to the one that it leads to now, else to the first.
fn settled(now: &Sites, wanted: Sites) -> Sites {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let has_now = |lane: &String, domain: &str| {
        let sites = now.get(lane).into_iter().flatten();
        sites.into_iter().any(|site| site.domain == domain)
    };
    for (lane, sites) in &wanted {
        for Site { domain, .. } in sites {
            if has_now(lane, domain) || !owners.contains_key(domain) {
                owners.insert(domain.clone(), lane.clone());
            }
        }
    }
    let mut settled = wanted;
    for (lane, sites) in &mut settled {
        sites.retain(|site| owners.get(&site.domain) == Some(lane));
    }
    settled
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

fn tell_restarted(bus: &Bus, reason: &'static str, who: &str) {
    let message =
        format!("{who} had ended, and was started again: connections through it were cut");
    bus.announce("proxy", Severity::Warning, reason, message);
}

#[cfg(test)]
mod tests {
    use super::{Site, Sites, settled};

    fn sites(of: &[(&str, &[&str])]) -> Sites {
        let site = |domain: &&str| Site {
            domain: (*domain).to_owned(),
            port: 20_000,
        };
        let lanes = of.iter();
        lanes
            .map(|(lane, domains)| ((*lane).to_owned(), domains.iter().map(site).collect()))
            .collect()
    }

    #[test]
    fn a_name_that_two_want_stays_with_who_has_it_and_one_that_is_given_up_goes_on() {
        let now = sites(&[("b", &["x"]), ("c", &["y"])]);
        let wanted = sites(&[("a", &["x", "y", "z"]), ("b", &["x", "z"]), ("c", &[])]);
        let expected = sites(&[("a", &["y", "z"]), ("b", &["x"]), ("c", &[])]);
        assert_eq!(settled(&now, wanted), expected);
    }
}
