//! Whether the data plane can hold a lane's ports.

use std::{io, net::TcpListener};

use super::{own_container, run::Tools, situation::Situation};
use crate::{
    engine::EngineError,
    model::{Lane, PortSpec, Spec},
    routing,
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

/// Why a port cannot be held for this lane; none if all can.
pub(super) async fn port_problem(
    tools: &Tools,
    lane: &Lane,
    spec: &Spec,
    situation: &Situation,
) -> Option<String> {
    let held = match tools.data_plane.held().await {
        Ok(held) => held,
        Err(error) => return Some(error.to_string()),
    };
    let ports = spec.ports.iter().filter(|port| port.can_be_held());
    let changes_hands = |port: &PortSpec| {
        port.host
            .is_some_and(|host| situation.serving_ports.contains(&host))
    };
    for listen in ports
        .filter(|port| !changes_hands(port))
        .flat_map(routing::listens)
    {
        let holder = held.iter().filter_map(|it| it.route.as_ref());
        match holder.into_iter().find(|it| it.listen == listen) {
            Some(route) if route.lane == lane.to_string() => {}
            Some(route) => {
                return Some(format!(
                    "port {} is held for `{}`: take another port",
                    listen.port(),
                    route.lane
                ));
            }
            None => {
                if let Err(problem) = tiny_forge_proxy::can_listen(listen).await {
                    return Some(problem);
                }
            }
        }
    }
    None
}
