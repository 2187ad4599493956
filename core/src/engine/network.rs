//! Networks of our own: where an instance has an address that we choose, so that it is the
//! same after a restart of the engine.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, UdpSocket},
};

use bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, NetworkCreateRequest, NetworkInspect,
};

use super::{Engine, EngineError};

const LABEL: &str = "tiny-forge.network";

/// Instances meet on networks that their specification names, not on this one.
const APART: (&str, &str) = ("com.docker.network.bridge.enable_icc", "false");

/// Where a container is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub network: String,
    pub address: Ipv4Addr,
}

/// A network of ours as the engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNetwork {
    subnet: Subnet,
    gateway: Option<Ipv4Addr>,
    /// Not to be given to anybody: the gateway's, and those that containers have now.
    taken: BTreeSet<Ipv4Addr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subnet {
    first: u32,
    length: u32,
}

impl Engine {
    /// Makes it where it does not exist yet. Each server has one of its own: the engine
    /// may have several of one name.
    pub async fn own_network(&self, name: &str) -> Result<OwnNetwork, EngineError> {
        let _making = self.network_turn().await;
        let found = match self.find_network(name).await? {
            Some(found) => found,
            None => self.make_own_network(name).await?,
        };
        OwnNetwork::of(&found).ok_or_else(|| EngineError::Refused {
            what: format!("network `{name}`"),
            message: "it has no IPv4 subnet: remove it, so that it is made anew".to_owned(),
        })
    }

    /// As it is now, if it is there.
    pub async fn find_own_network(&self, name: &str) -> Result<Option<OwnNetwork>, EngineError> {
        let found = self.find_network(name).await?;
        Ok(found.as_ref().and_then(OwnNetwork::of))
    }

    pub async fn network_exists(&self, name: &str) -> Result<bool, EngineError> {
        Ok(self.find_network(name).await?.is_some())
    }

    /// The engine gives fixed addresses only where the subnet was asked for. So it is
    /// let choose one that is free, and asked for this one.
    async fn make_own_network(&self, name: &str) -> Result<NetworkInspect, EngineError> {
        let unfinished = format!("{name}-new");
        let chosen = match self.find_network(&unfinished).await? {
            // Left by a crash.
            Some(left) => left,
            None => self.create_network(&unfinished, None).await?,
        };
        let what = format!("network `{name}`");
        let id = chosen.id.unwrap_or_default();
        self.call(&what, self.control()?.remove_network(&id))
            .await?;
        self.create_network(name, chosen.ipam).await
    }

    async fn create_network(
        &self,
        name: &str,
        ipam: Option<Ipam>,
    ) -> Result<NetworkInspect, EngineError> {
        let what = format!("network `{name}`");
        let pair = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            ipam,
            options: Some([pair(APART)].into()),
            labels: Some([pair((LABEL, "true"))].into()),
            ..NetworkCreateRequest::default()
        };
        let control = self.control()?;
        let made = self.call(&what, control.create_network(request)).await?;
        self.call(&what, control.inspect_network(&made.id, None))
            .await
    }

    async fn find_network(&self, name: &str) -> Result<Option<NetworkInspect>, EngineError> {
        let what = format!("network `{name}`");
        let found = self
            .call(&what, self.control()?.inspect_network(name, None))
            .await;
        match found {
            Ok(found) => Ok(Some(found)),
            Err(EngineError::NotFound { .. } | EngineError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How a container joins a network of ours.
pub(super) fn endpoint(address: Ipv4Addr) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    }
}

impl OwnNetwork {
    fn of(found: &NetworkInspect) -> Option<Self> {
        let configs = || found.ipam.iter().flat_map(|it| it.config.iter().flatten());
        let subnet = configs().find_map(|it| Subnet::parse(it.subnet.as_deref()?))?;
        let gateway = configs().find_map(|it| it.gateway.as_ref()?.parse().ok());
        let containers = found.containers.iter().flat_map(|it| it.values());
        let held = containers.filter_map(|it| {
            let address = it.ipv4_address.as_deref()?;
            address.split('/').next()?.parse().ok()
        });
        Some(Self {
            subnet,
            gateway,
            taken: held.chain(gateway).collect(),
        })
    }

    /// Whether containers on it can be reached from here: the engine's bridge is an
    /// interface of this host. Not so in a virtual machine, or without root.
    pub fn is_on_this_host(&self) -> bool {
        let Some(gateway) = self.gateway else {
            return false;
        };
        UdpSocket::bind((gateway, 0)).is_ok()
    }

    /// One that nobody has; the one after `last` if it is free, so that an address is
    /// given again as late as can be.
    pub fn free(&self, last: Option<Ipv4Addr>, given: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        let Subnet { first, length } = self.subnet;
        // Neither the network's own nor the one for all.
        let hosts = length.checked_sub(2).filter(|hosts| *hosts > 0)?;
        let after = last.and_then(|last| last.to_bits().checked_sub(first));
        let after = after.filter(|at| *at < length).unwrap_or(0);
        (0..hosts)
            .map(|step| Ipv4Addr::from_bits(first + 1 + (after + step) % hosts))
            .find(|address| !self.taken.contains(address) && !given.contains(address))
    }
}

impl Subnet {
    /// `10.1.2.0/24`
    fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/')?;
        let (base, bits): (Ipv4Addr, u32) = (base.parse().ok()?, bits.parse().ok()?);
        let length = 1_u32.checked_shl(32_u32.checked_sub(bits)?)?;
        Some(Self {
            first: base.to_bits() & !(length - 1),
            length,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{OwnNetwork, Subnet};

    fn network(subnet: &str, gateway: &str) -> OwnNetwork {
        OwnNetwork {
            subnet: Subnet::parse(subnet).expect("a subnet"),
            gateway: Some(address(gateway)),
            taken: [address(gateway)].into(),
        }
    }

    fn address(text: &str) -> Ipv4Addr {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_go_round_and_leave_out_who_has_one() {
        let network = network("10.1.2.0/29", "10.1.2.1");
        let given = [address("10.1.2.3")].into();
        let next = |last: Option<&str>| network.free(last.map(address), &given);
        assert_eq!(next(None), Some(address("10.1.2.2")));
        assert_eq!(next(Some("10.1.2.2")), Some(address("10.1.2.4")));
        assert_eq!(next(Some("10.1.2.6")), Some(address("10.1.2.2")));
        assert_eq!(next(Some("192.168.0.1")), Some(address("10.1.2.2")));
    }

    #[test]
    fn a_full_network_has_none() {
        let network = network("10.1.2.0/30", "10.1.2.1");
        assert_eq!(network.free(None, &[address("10.1.2.2")].into()), None);
        assert_eq!(Subnet::parse("fd00::/64"), None);
        assert_eq!(Subnet::parse("10.0.0.0/33"), None);
    }
}
