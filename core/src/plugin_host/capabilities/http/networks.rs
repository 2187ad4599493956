use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// Networks that are closed unless they are granted: this machine, private and
/// shared ones, and what is no single host of the internet.
const CLOSED: [&str; 23] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "100::/64",
    "2001:db8::/32",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "64:ff9b:1::/48",
];

/// Where clouds tell a machine its credentials: no grant opens these.
const METADATA: [&str; 11] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "169.254.0.23",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fe80::a9fe:a9fe",
];

/// Which addresses a plugin may connect to.
#[derive(Debug, Clone)]
pub(super) struct Networks {
    granted: Vec<IpNet>,
    closed: Vec<IpNet>,
    metadata: Vec<IpAddr>,
    /// Our own addresses; an unspecified one stands for all that the machine has.
    blocked: Vec<SocketAddr>,
    /// Whether the machine has this address.
    is_local: fn(IpAddr) -> bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Opened by a grant of its network.
    Closed(IpAddr),
    /// Opened by nothing.
    Never(IpAddr),
}

impl Networks {
    pub(super) fn new(
        granted: Vec<IpNet>,
        blocked: Vec<SocketAddr>,
        is_local: fn(IpAddr) -> bool,
    ) -> Self {
        let parsed = |text: &str| text.parse().expect("the networks above are well-formed");
        let address = |text: &str| text.parse().expect("the addresses above are well-formed");
        Self {
            granted,
            closed: CLOSED.iter().map(|text| parsed(text)).collect(),
            metadata: METADATA.iter().map(|text| address(text)).collect(),
            blocked,
            is_local,
        }
    }

    pub(super) fn check(&self, ip: IpAddr, port: u16) -> Result<(), Refusal> {
        let reached = reached(ip);
        if let Some(never) = reached.iter().find(|ip| self.is_never(**ip, port)) {
            return Err(Refusal::Never(*never));
        }
        match reached.iter().find(|ip| self.is_closed(**ip)) {
            Some(closed) => Err(Refusal::Closed(*closed)),
            None => Ok(()),
        }
    }

    fn is_never(&self, ip: IpAddr, port: u16) -> bool {
        // The unspecified address reaches this machine under another name.
        ip.is_unspecified() || self.metadata.contains(&ip) || self.is_own(ip, port)
    }

    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        self.blocked.iter().any(|own| {
            let own_ip = own.ip().to_canonical();
            // What is closed may be a way to us that no address of the machine tells.
            let any = || contains(&self.closed, ip) || (self.is_local)(ip);
            own.port() == port && (own_ip == ip || own_ip.is_unspecified() && any())
        })
    }

    fn is_closed(&self, ip: IpAddr) -> bool {
        contains(&self.closed, ip) && !contains(&self.granted, ip)
    }
}

fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

/// The addresses that a packet to `ip` may arrive at: itself, and the IPv4
/// addresses that it wraps.
fn reached(ip: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = ip else {
        return vec![ip];
    };
    let wrapped = wrapped(v6);
    match v6.to_ipv4_mapped() {
        // A mapped address is nothing but the IPv4 one.
        Some(v4) => vec![IpAddr::V4(v4)],
        None => std::iter::once(ip)
            .chain(wrapped.into_iter().map(IpAddr::V4))
            .collect(),
    }
}

fn wrapped(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        // IPv4-compatible; `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) != (0, 0) && (high, low) != (0, 1) => {
            vec![v4(high, low)]
        }
        // IPv4-translated.
        [0, 0, 0, 0, 0xffff, 0, high, low] => vec![v4(high, low)],
        // NAT64, well-known and local.
        [0x64, 0xff9b, 0 | 1, ..] => vec![v4(s[6], s[7])],
        // 6to4.
        [0x2002, high, low, ..] => vec![v4(high, low)],
        // Teredo: its server, and the client with its bits turned over.
        [0x2001, 0, high, low, ..] => vec![v4(high, low), v4(!s[6], !s[7])],
        // ISATAP.
        [.., 0 | 0x200, 0x5efe, high, low] => vec![v4(high, low)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Networks, Refusal};

    fn check(granted: &[&str], address: &str) -> Result<(), Refusal> {
        let granted = granted.iter().map(|text| text.parse().expect("a network"));
        let own = ["127.0.0.1:8080", "0.0.0.0:9090"];
        let own = own.map(|text| text.parse().expect("an address"));
        let ours = |ip: IpAddr| ip.to_string() == "93.184.216.34";
        let networks = Networks::new(granted.collect(), own.to_vec(), ours);
        let address: std::net::SocketAddr = address.parse().expect("an address");
        networks.check(address.ip(), address.port())
    }

    #[test]
    fn the_internet_is_open() {
        for address in ["93.184.216.34:443", "[2606:4700::1111]:443"] {
            assert_eq!(check(&[], address), Ok(()), "{address}");
        }
    }

    #[test]
    fn closed_networks_are_closed_in_every_wrapping() {
        for address in [
            "0.1.2.3:80",
            "127.0.0.1:80",
            "127.255.255.254:80",
            "10.1.2.3:80",
            "100.64.0.1:80",
            "100.127.255.254:80",
            "169.254.1.1:80",
            "172.16.0.1:80",
            "172.31.0.1:80",
            "192.0.0.1:80",
            "192.168.1.1:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "[::1]:80",
            "[fc00::1]:80",
            "[fdff::1]:80",
            "[fe80::1]:80",
            "[febf::1]:80",
            "[ff02::1]:80",
            "[::ffff:127.0.0.1]:80",
            "[::ffff:10.0.0.1]:80",
            "[::ffff:192.168.0.1]:80",
            "[::127.0.0.1]:80",
            "[::10.0.0.1]:80",
            "[::ffff:0:127.0.0.1]:80",
            "[2606:4700::5efe:10.0.0.1]:80",
            "[2002:c0a8:101::1]:80",
            "[2002:7f00:1::]:80",
            "[64:ff9b::7f00:1]:80",
            "[64:ff9b:1::7f00:1]:80",
            "[2001:0:5db8:d822::80ff:fffe]:80",
            "[2001:0:7f00:1::a247:27dd]:80",
        ] {
            let refusal = check(&[], address);
            assert!(
                matches!(refusal, Err(Refusal::Closed(_))),
                "{address} {refusal:?}"
            );
        }
    }

    #[test]
    fn a_grant_opens_its_network_and_no_other() {
        assert_eq!(check(&["127.0.0.1/32"], "127.0.0.1:80"), Ok(()));
        assert_eq!(check(&["127.0.0.1/32"], "[::ffff:127.0.0.1]:80"), Ok(()));
        assert!(check(&["127.0.0.1/32"], "127.0.0.2:80").is_err());
        assert_eq!(check(&["10.0.0.0/8"], "10.9.9.9:80"), Ok(()));
    }

    #[test]
    fn no_grant_opens_metadata_or_our_own_address() {
        let all = ["0.0.0.0/0", "::/0"];
        for address in [
            "127.0.0.1:8080",
            "[::ffff:127.0.0.1]:8080",
            "0.0.0.0:8080",
            "[::]:8080",
            "169.254.169.254:80",
            "[::ffff:169.254.169.254]:80",
            "[64:ff9b::a9fe:a9fe]:80",
            "[::169.254.169.254]:80",
            "[2002:a9fe:a9fe::]:80",
            "[2001:0:a9fe:a9fe::1]:80",
            "[2001:0:1:1::5601:5601]:80",
            "169.254.170.2:80",
            "100.100.100.200:80",
            "168.63.129.16:80",
            "192.0.0.192:80",
            "[fd00:ec2::254]:80",
            "[fe80::a9fe:a9fe]:80",
            "[::127.0.0.1]:8080",
            "[64:ff9b::7f00:1]:8080",
            "127.0.0.1:9090",
            "10.1.2.3:9090",
            "93.184.216.34:9090",
            "[::ffff:93.184.216.34]:9090",
        ] {
            let refusal = check(&all, address);
            assert!(
                matches!(refusal, Err(Refusal::Never(_))),
                "{address} {refusal:?}"
            );
        }
        assert_eq!(check(&all, "127.0.0.1:8081"), Ok(()));
        assert_eq!(check(&all, "93.184.216.35:9090"), Ok(()));
    }
}
