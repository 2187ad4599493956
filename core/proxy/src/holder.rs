//! Who else holds a port, as far as `/proc` tells.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// State of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

#[derive(Debug, PartialEq, Eq)]
pub struct Holder {
    name: String,
    pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// Whoever listens where `listen` would have to. Blocks. Of other users'
/// processes only root is told.
pub fn holder_of(listen: SocketAddr) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let lines = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok());
    let inodes: Vec<String> = lines
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| inode(line, listen))
                .collect::<Vec<_>>()
        })
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    processes.filter_map(Result::ok).find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let path = process.path();
        let name = || fs::read_to_string(path.join("comm")).unwrap_or_default();
        holds(&path, &inodes).then(|| Holder {
            name: name().trim().to_owned(),
            pid,
        })
    })
}

fn holds(process: &Path, inodes: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    let targets = descriptors.filter_map(|it| fs::read_link(it.ok()?.path()).ok());
    let names = targets.filter_map(|target| target.to_str().map(str::to_owned));
    names
        .filter_map(|name| Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .any(|inode| inodes.contains(&inode))
}

/// Of the socket in `line`, if it keeps others from listening on `listen`.
fn inode(line: &str, listen: SocketAddr) -> Option<String> {
    let mut fields = line.split_whitespace().skip(1);
    let local = address(fields.next()?)?;
    let is_listening = fields.nth(1)? == LISTEN;
    let is_in_the_way = local.port() == listen.port() && overlap(local.ip(), listen.ip());
    (is_listening && is_in_the_way).then(|| fields.nth(5).map(str::to_owned))?
}

fn overlap(held: IpAddr, wanted: IpAddr) -> bool {
    held == wanted || held.is_unspecified() || wanted.is_unspecified()
}

/// `0100007F:0050`: the address as words in the machine's byte order.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<[u8; 4]>> = (0..address.len() / 8)
        .map(|at| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok())
        .map(|word| word.map(u32::to_ne_bytes))
        .collect();
    let bytes = words?.concat();
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 \
                        00000000     0        0 4711 1 0000000000000000 100 0 0 10 0";

    #[test]
    fn a_listener_is_found_by_its_port_and_by_addresses_that_exclude_each_other() {
        let of = |listen: &str| inode(LINE, listen.parse().expect("an address"));
        assert_eq!(of("127.0.0.1:8080"), Some("4711".to_owned()));
        assert_eq!(of("0.0.0.0:8080"), Some("4711".to_owned()));
        assert_eq!(of("127.0.0.2:8080"), None);
        assert_eq!(of("127.0.0.1:8081"), None);
    }

    #[test]
    fn both_families_are_read() {
        let six = address("00000000000000000000000001000000:0050").expect("an address");
        assert_eq!(six, "[::1]:80".parse().expect("an address"));
        assert_eq!(address("nonsense"), None);
    }
}
