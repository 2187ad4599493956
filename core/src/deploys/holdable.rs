//! Whether the data plane can hold a lane's ports.

use std::{io, net::TcpListener};

use tiny_forge_proxy::Route;

use super::{domains, own_container, plan, run::Tools, situation::Situation};
use crate::{
    engine::EngineError,
    model::{Lane, PortSpec, Spec},
    routing,
    store::StoreError,
};

/// Why the data plane cannot hold ports on this host, whoever has them now; none if it can.
pub(super) async fn obstacle(tools: &Tools, spec: &Spec) -> Result<Option<String>, EngineError> {
    let endpoint = tools.engine.connection().borrow().endpoint.clone();
    if !endpoint.starts_with("unix://") {
        return Ok(Some(format!("the engine at {endpoint} is on another host")));
    }
    if own_container::id().is_some() {
        return Ok(Some("tiny-forge runs in a container itself".to_owned()));
    }
    if let Some(port) = forbidden(spec) {
        return Ok(Some(format!("this user may not listen on port {port}")));
    }
    let network = tools.engine.find_own_network(&tools.network).await?;
    let is_elsewhere = network.is_some_and(|network| !network.is_on_this_host());
    Ok(is_elsewhere.then(|| {
        "containers of this engine have no address that can be reached from here".to_owned()
    }))
}

/// The first port that only root may listen on, where we are not.
fn forbidden(spec: &Spec) -> Option<u16> {
    let held = spec.ports.iter().filter(|port| port.can_be_held());
    let mut listens = held.flat_map(routing::listens);
    let refused = listens.find(|listen| {
        let bound = TcpListener::bind(listen);
        bound.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    });
    refused.map(|listen| listen.port())
}

/// Why the lane cannot be reached as it is to be; none if it can.
pub(super) async fn problem(
    tools: &Tools,
    lane: &Lane,
    spec: &Spec,
    situation: &Situation,
) -> Result<Option<String>, StoreError> {
    match port_problem(tools, lane, spec, situation).await {
        Some(problem) => Ok(Some(problem)),
        None => domains::problem(tools, lane, spec, situation).await,
    }
}

async fn port_problem(
    tools: &Tools,
    lane: &Lane,
    spec: &Spec,
    situation: &Situation,
) -> Option<String> {
    let lane = lane.to_string();
    let is_held = plan::is_held(spec, situation) == Ok(true);
    let held = match tools.data_plane.held().await {
        Ok(held) => held,
        Err(error) => return is_held.then(|| error.to_string()),
    };
    let held: Vec<Route> = held.into_iter().filter_map(|it| it.route).collect();
    for port in spec.ports.iter().filter(|port| port.can_be_held()) {
        let holder = holder(port, &held);
        if let Some(other) = holder.filter(|route| route.lane != lane) {
            let port = other.listen.port();
            return Some(format!(
                "port {port} is held for `{}`: take another port",
                other.lane
            ));
        }
        let changes_hands = port
            .host
            .is_some_and(|host| situation.serving_ports.contains(&host));
        if !is_held || holder.is_some() || changes_hands {
            continue;
        }
        match domains::gives_up(tools, &lane, spec, port).await {
            Err(problem) => return Some(problem),
            Ok(true) => continue,
            Ok(false) => {}
        }
        for listen in routing::listens(port) {
            if let Err(problem) = tiny_forge_proxy::can_listen(listen).await {
                return Some(problem);
            }
        }
    }
    None
}

/// Whose route is in its way, if there is one.
fn holder<'a>(port: &PortSpec, held: &'a [Route]) -> Option<&'a Route> {
    let listens = routing::listens(port);
    held.iter()
        .find(|route| listens.iter().any(|it| routing::overlap(*it, route.listen)))
}
