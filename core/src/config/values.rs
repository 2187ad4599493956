//! What values may be set: each check takes what was found, and its error says what
//! would be right.

use std::net::SocketAddr;

use url::{Host, Url};

use super::sources::{ConfigError, Key};
use crate::{model::EventType, routing::Certificates};

pub(super) fn loopback(found: &Key) -> Result<SocketAddr, ConfigError> {
    let expected = "an address with a port, e.g. 127.0.0.1:8080 (port 0 takes a free one)";
    let address: SocketAddr = found.text.parse().map_err(|_| found.wrong(expected))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(found.wrong(
        "127.0.0.1 or [::1]: behind this port is the Docker socket, and there is no sign-in yet; \
         reach it from elsewhere through ssh -L",
    ))
}

pub(super) fn engine(found: &Key) -> Result<String, ConfigError> {
    let known = ["unix://", "tcp://", "http://"];
    if known
        .iter()
        .any(|scheme| found.text.len() > scheme.len() && found.text.starts_with(scheme))
    {
        return Ok(found.text.clone());
    }
    Err(found.wrong("unix:///path/to/docker.sock or tcp://host:port"))
}

/// As requests have them in `Host`, whose port is not looked at.
pub(super) fn host_names(found: &Key) -> Result<Vec<String>, ConfigError> {
    let expected =
        "names without scheme, port and `*`, e.g. forge.lan, which is served at any port";
    let name = |text: String| match Host::parse(&text) {
        Ok(host) if !text.contains('*') => Ok(host.to_string()),
        Ok(_) | Err(_) => Err(found.wrong(expected)),
    };
    found.list().into_iter().map(name).collect()
}

pub(super) fn web_url(found: &Key) -> Result<String, ConfigError> {
    let url = Url::parse(&found.text).ok();
    if url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Ok(found.text.trim_end_matches('/').to_owned());
    }
    Err(found.wrong("a web address, e.g. http://127.0.0.1:8080"))
}

pub(super) fn days(found: &Key) -> Result<u32, ConfigError> {
    let days = found.text.parse().ok().filter(|days| *days > 0);
    days.ok_or_else(|| found.wrong("a number of days, at least 1"))
}

pub(super) fn days_by_type(found: &Key) -> Result<Vec<(EventType, u32)>, ConfigError> {
    let of_one = |text: String| {
        let (kind, days) = text.split_once('=')?;
        let days = days.trim().parse().ok().filter(|days| *days > 0);
        Some((EventType::parse(kind.trim())?, days?))
    };
    let wrong = || {
        let known = EventType::ALL.map(EventType::as_str).join(", ");
        found.wrong(&format!(
            "types with days, at least 1, e.g. audit=365,system=14; types are {known}"
        ))
    };
    let all = found.list().into_iter();
    all.map(|text| of_one(text).ok_or_else(wrong)).collect()
}

pub(super) fn count(found: &Key) -> Result<u64, ConfigError> {
    let count = found.text.parse().ok().filter(|count| *count >= 1_000);
    count.ok_or_else(|| found.wrong("a number, at least 1000"))
}

pub(super) fn at_least_one(found: &Key) -> Result<usize, ConfigError> {
    let count = found.text.parse().ok().filter(|count| *count >= 1);
    count.ok_or_else(|| found.wrong("a number, at least 1"))
}

pub(super) fn mib(found: &Key) -> Result<u64, ConfigError> {
    let known = 1..=u64::MAX >> 20;
    let mib = found.text.parse().ok().filter(|mib| known.contains(mib));
    mib.ok_or_else(|| found.wrong("a number of MiB, at least 1"))
}

pub(super) fn port(found: &Key) -> Result<u16, ConfigError> {
    let port = found.text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| found.wrong("a port, from 1 to 65535"))
}

pub(super) fn certificates(found: &Key) -> Result<Certificates, ConfigError> {
    let url = Url::parse(&found.text).ok();
    match found.text.as_str() {
        "public" => Ok(Certificates::Public),
        "internal" => Ok(Certificates::Internal),
        _ if url.is_some_and(|url| url.scheme() == "https") => {
            Ok(Certificates::Acme(found.text.clone()))
        }
        _ => Err(found.wrong("`public`, `internal`, or the https URL of an ACME directory")),
    }
}
