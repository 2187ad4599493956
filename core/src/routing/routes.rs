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
    let published = ports.flat_map(|port| listens(port).into_iter().map(|it| (it, port.container)));
    let for_domains = held.loopback.iter().map(|port| {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.host));
        (listen, port.container)
    });
    let routes = published
        .chain(for_domains)
        .map(|(listen, container)| Route {
            listen,
            upstream: SocketAddr::from((held.address, container)),
            lane: held.lane.to_string(),
            generation: held.generation.unsigned_abs(),
        });
    routes.collect()
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
    let addresses = match named {
        Some(address) => vec![address],
        None if has_ipv6() => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        None => vec![Ipv4Addr::UNSPECIFIED.into()],
    };
    let at = |address| SocketAddr::new(address, host);
    addresses.into_iter().map(at).collect()
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
