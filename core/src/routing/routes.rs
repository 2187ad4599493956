use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::OnceLock,
};

use tiny_forge_proxy::Route;

use super::Site;
use crate::{model::PortSpec, store::Held};

/// What leads to an instance.
pub fn routes(held: &Held) -> Vec<Route> {
    let ports = held.ports.iter().filter(|port| port.can_be_held());
    let published = ports.flat_map(|port| {
        let listens = listens(port).into_iter();
        listens.map(|listen| route(held, listen, port.container))
    });
    published.chain(doors(held)).collect()
}

/// Those of them that domains lead to.
pub fn doors(held: &Held) -> Vec<Route> {
    let doors = held.loopback.iter().map(|port| {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.host));
        route(held, listen, port.container)
    });
    doors.collect()
}

fn route(held: &Held, listen: SocketAddr, container: u16) -> Route {
    Route {
        listen,
        upstream: SocketAddr::from((held.address, container)),
        lane: held.lane.to_string(),
        generation: held.generation.unsigned_abs(),
    }
}

/// What leads to these routes from outside, by name.
pub fn sites(held: &Held) -> Vec<Site> {
    let sites = held.domains.iter().filter_map(|domain| {
        let mut ports = held.loopback.iter();
        let port = ports.find(|port| port.container == domain.port)?;
        Some(Site {
            domain: domain.name.clone(),
            port: port.host,
        })
    });
    sites.collect()
}

/// Where a port is published: as the engine does it, on all addresses unless one is named.
pub fn listens(port: &PortSpec) -> Vec<SocketAddr> {
    let Some(host) = port.host else {
        return Vec::new();
    };
    let named: Option<IpAddr> = port.host_ip.as_ref().and_then(|ip| ip.parse().ok());
    match named {
        Some(address) => vec![SocketAddr::new(address, host)],
        None => everywhere(host),
    }
}

/// A port on all addresses of this host.
pub(super) fn everywhere(port: u16) -> Vec<SocketAddr> {
    let mut all = vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))];
    if has_ipv6() {
        all.push(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    all
}

/// Whether nobody can listen to both.
pub fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_wide = one.ip().is_unspecified() || other.ip().is_unspecified();
    let is_same_family = one.is_ipv4() == other.is_ipv4();
    one.port() == other.port() && is_same_family && (is_wide || one.ip() == other.ip())
}

/// This host, as it was when it was first asked about.
fn has_ipv6() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let interfaces = fs::read_to_string("/proc/net/if_inet6");
        interfaces.is_ok_and(|text| !text.trim().is_empty())
    })
}
