use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SpecError;

/// A name under which a lane is reached, over HTTPS: Caddy in front of the data plane
/// has the certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainSpec {
    /// In lower case, e.g. `shop.example`.
    pub name: String,
    /// Of the container; it speaks plain HTTP there and need not be published.
    pub port: u16,
}

/// Where the data plane takes what comes for a lane's domains: on loopback, at a port
/// that stays the same from deploy to deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoopbackPort {
    /// On 127.0.0.1.
    pub host: u16,
    pub container: u16,
}

const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// Every domain that cannot work, found without asking anybody.
pub(super) fn problems(domains: &[DomainSpec]) -> impl Iterator<Item = SpecError> {
    domains.iter().enumerate().flat_map(|(i, domain)| {
        let is_double = domains[..i].iter().any(|other| other.name == domain.name);
        let name = name_problem(&domain.name).or(is_double.then_some("this domain is given twice"));
        let port = (domain.port == 0).then_some("a port is a number from 1 to 65535");
        let found = [("name", name), ("port", port)];
        found.into_iter().filter_map(move |(member, message)| {
            Some(SpecError {
                field: format!("/domains/{i}/{member}"),
                message: message?.to_owned(),
            })
        })
    })
}

fn name_problem(name: &str) -> Option<&'static str> {
    let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.chars().all(is_known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.contains('*') {
        return Some("a wildcard has no certificate here: name each domain");
    }
    if name.contains(['/', ':']) {
        return Some("expected a name alone, without `https://`, port or path");
    }
    if !name.is_ascii() {
        return Some("write it as its `xn--` form");
    }
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        return Some("write it in lower case");
    }
    let is_name = name.len() <= NAME_MAX && name.split('.').all(is_label);
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    (!is_name || is_address).then_some("expected a domain such as `shop.example`")
}

#[cfg(test)]
mod tests {
    use super::{DomainSpec, problems};

    fn found(names: &[&str]) -> Vec<String> {
        let domains = names.iter().map(|name| DomainSpec {
            name: (*name).to_owned(),
            port: 80,
        });
        let domains: Vec<DomainSpec> = domains.collect();
        problems(&domains).map(|it| it.to_string()).collect()
    }

    #[test]
    fn a_domain_is_a_name_and_what_is_not_says_what_is_wrong() {
        assert!(found(&["shop.example", "a-1.b.example", "localhost"]).is_empty());
        for (name, reason) in [
            ("*.shop.example", "wildcard"),
            ("https://shop.example", "without `https://`"),
            ("shop.example:8080", "port"),
            ("Shop.example", "lower case"),
            ("süß.example", "xn--"),
            ("10.0.0.1", "such as"),
            ("shop..example", "such as"),
            ("-shop.example", "such as"),
            ("", "such as"),
        ] {
            let found = found(&[name]);
            assert!(found[0].contains(reason), "{name}: {found:?}");
            assert!(found[0].starts_with("/domains/0/name: "), "{found:?}");
        }
        let twice = found(&["shop.example", "shop.example"]);
        assert!(twice[0].starts_with("/domains/1/name: "), "{twice:?}");
    }
}
