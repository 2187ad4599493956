//! Ports of this host that a lane's domains lead to.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
};

use super::{error::Stop, run::Run};
use crate::model::{Lane, LoopbackPort, StepName};

/// Below those that the kernel gives to clients.
const PORTS: RangeInclusive<u16> = 20_000..=29_999;

impl Run {
    /// One for each port of the container. What the lane was given stays with it, unless
    /// somebody else listens there meanwhile.
    pub(super) async fn loopback_ports(&self) -> Result<Vec<LoopbackPort>, Stop> {
        let containers: BTreeSet<u16> = self.spec.domains.iter().map(|it| it.port).collect();
        if containers.is_empty() {
            return Ok(Vec::new());
        }
        let store = &self.tools.store;
        let mut given = store.read(|reader| reader.loopback_ports()).await?;
        let mut ports = Vec::new();
        for container in containers {
            let own = given
                .iter()
                .find(|(lane, port)| *lane == self.deploy.lane && port.container == container);
            let port = match own.map(|(_, own)| *own) {
                Some(own) if self.can_have(own.host).await => own,
                _ => LoopbackPort {
                    host: free_port(&given).await.ok_or_else(|| {
                        Stop::failed(StepName::Plan, "no port is left for its domains")
                    })?,
                    container,
                },
            };
            given.push((self.deploy.lane.clone(), port));
            ports.push(port);
        }
        Ok(ports)
    }

    /// It is held for the lane, or free.
    async fn can_have(&self, port: u16) -> bool {
        let (listen, lane) = (door(port), self.deploy.lane.to_string());
        let held = self.tools.data_plane.held().await.unwrap_or_default();
        let mut routes = held.into_iter().filter_map(|it| it.route);
        routes.any(|route| route.listen == listen && route.lane == lane) || is_free(port).await
    }
}

/// That no lane has been given, and nobody listens to.
async fn free_port(given: &[(Lane, LoopbackPort)]) -> Option<u16> {
    let first = rand::random_range(PORTS);
    for port in (first..=*PORTS.end()).chain(PORTS) {
        let is_given = given.iter().any(|(_, given)| given.host == port);
        if !is_given && is_free(port).await {
            return Some(port);
        }
    }
    None
}

async fn is_free(port: u16) -> bool {
    tiny_forge_proxy::can_listen(door(port)).await.is_ok()
}

fn door(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
