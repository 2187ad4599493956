//! Whether a lane can have its domains.

use super::{plan, run::Tools, situation::Situation};
use crate::{
    model::{DomainSpec, Lane, PortSpec, Spec},
    store::{Reader, StoreError},
};

/// Why it cannot have them; none if it can.
pub(super) async fn problem(
    tools: &Tools,
    lane: &Lane,
    spec: &Spec,
    situation: &Situation,
) -> Result<Option<String>, StoreError> {
    if spec.domains.is_empty() {
        return Ok(None);
    }
    if let Err(why) = plan::is_held(spec, situation) {
        return Ok(Some(format!("its domains cannot lead to it, since {why}")));
    }
    let (own, wanted) = (lane.clone(), spec.domains.clone());
    let taken = tools.store.read(move |reader| taken(reader, &own, &wanted));
    if let Some((name, other)) = taken.await? {
        return Ok(Some(format!(
            "`{name}` leads to {other}: remove it there first"
        )));
    }
    Ok(caddy_problem(tools, lane, spec).await)
}

/// The first that leads to another lane, or may again: a deploy that has not ended can
/// still go back.
fn taken(
    reader: &Reader<'_>,
    lane: &Lane,
    wanted: &[DomainSpec],
) -> Result<Option<(String, Lane)>, StoreError> {
    let mut held = reader.held()?;
    for deploy in reader.open_deploys()? {
        let old = deploy.plan.and_then(|plan| plan.replaces);
        let old = old.map(|old| reader.held_as(&deploy.lane, &old));
        held.extend(old.transpose()?.flatten());
    }
    let others = held.into_iter().filter(|held| held.lane != *lane);
    let mut domains = others.flat_map(|held| {
        let domains = held.domains.into_iter();
        domains.map(move |domain| (domain.name, held.lane.clone()))
    });
    Ok(domains.find(|(name, _)| wanted.iter().any(|it| it.name == *name)))
}

/// Whether Caddy has the port now, and will not once the lane is as `spec` says; an error
/// if it goes on to need it.
pub(super) async fn gives_up(
    tools: &Tools,
    lane: &str,
    spec: &Spec,
    port: &PortSpec,
) -> Result<bool, String> {
    let Some(port) = port.host.filter(|it| tools.caddy.ports().contains(it)) else {
        return Ok(false);
    };
    let lanes = tools.caddy.lanes().await;
    let mut stay = lanes
        .iter()
        .filter(|it| *it != lane || !spec.domains.is_empty());
    match stay.next() {
        Some(whose) => Err(format!(
            "port {port} is for domains, as those of {whose}: take another port, or give Caddy \
             another with --http-port or --https-port"
        )),
        None => Ok(!lanes.is_empty()),
    }
}

/// Caddy listens to ports that the data plane may hold.
async fn caddy_problem(tools: &Tools, lane: &Lane, spec: &Spec) -> Option<String> {
    let lane = lane.to_string();
    let held = tools.data_plane.held().await.unwrap_or_default();
    let mut given_up = Vec::new();
    for route in held.into_iter().filter_map(|it| it.route) {
        let port = route.listen.port();
        if !tools.caddy.ports().contains(&port) {
            continue;
        }
        if route.lane != lane || spec.ports.iter().any(|it| it.host == Some(port)) {
            let holder = route.lane;
            return Some(format!(
                "Caddy needs port {port} for domains, and {holder} publishes it: give it up \
                 there first, or give Caddy another with --http-port or --https-port"
            ));
        }
        given_up.push(port);
    }
    tools.caddy.obstacle(&given_up).await
}
