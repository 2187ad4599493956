//! What Caddy is told, and what is read from that again.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{Sites, admin, home::CaddyHome};

/// While the data plane is started again, or an upstream refuses for a moment. Requests
/// with a body do not wait: Caddy 2.6 closes the body with the first refusal.
const TRIES_FOR: &str = "5s";
const TRIES_EVERY: &str = "100ms";
const LOG_MIB: u32 = 10;

/// How domains are served.
#[derive(Debug, Clone)]
pub struct CaddySettings {
    pub program: PathBuf,
    /// Leads to `https_port`, and answers whoever gives certificates.
    pub http_port: u16,
    pub https_port: u16,
    pub certificates: Certificates,
    /// Of whom gives certificates, to write to.
    pub email: Option<String>,
}

/// Who gives certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificates {
    /// Let's Encrypt, else ZeroSSL: everybody trusts them.
    Public,
    /// Caddy itself: who trusts its root certificate does.
    Internal,
    /// The ACME directory at this URL.
    Acme(String),
}

/// A domain, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub domain: String,
    /// Of this host, on loopback.
    pub port: u16,
}

pub(super) fn config(settings: &CaddySettings, home: &CaddyHome, sites: &Sites) -> Value {
    let routes = sites.iter().flat_map(|(lane, sites)| {
        let routes = sites.iter().map(move |site| route(lane, site));
        routes.collect::<Vec<Value>>()
    });
    let routes: Vec<Value> = routes.collect();
    json!({
        "admin": admin(home),
        "storage": {"module": "file_system", "root": home.storage()},
        "logging": {"logs": {"default": {"level": "WARN", "writer": {
            "output": "file",
            "filename": home.log(),
            "roll_size_mb": LOG_MIB,
            "roll_keep": 1,
        }}}},
        "apps": {
            "http": {
                "http_port": settings.http_port,
                "https_port": settings.https_port,
                "servers": {"tiny-forge": {
                    "listen": [format!(":{}", settings.https_port)],
                    "routes": routes,
                }},
            },
            "tls": {"automation": {"policies": [{"issuers": issuers(settings)}]}},
            "pki": {"certificate_authorities": {"local": {"install_trust": false}}},
        },
    })
}

/// To serve nobody.
pub(super) fn nothing(home: &CaddyHome) -> Value {
    json!({"admin": admin(home)})
}

fn admin(home: &CaddyHome) -> Value {
    json!({
        "listen": format!("unix/{}", home.socket().display()),
        "origins": [admin::HOST],
        "config": {"persist": false},
    })
}

/// By lane, as they were told.
pub(super) fn sites(config: &Value) -> Sites {
    let mut found = Sites::new();
    let routes = config.pointer("/apps/http/servers/tiny-forge/routes");
    for route in routes.and_then(Value::as_array).into_iter().flatten() {
        let known = || {
            let (lane, domain) = route["@id"].as_str()?.split_once(' ')?;
            let dial = route.pointer("/handle/0/upstreams/0/dial")?.as_str()?;
            let site = Site {
                domain: domain.to_owned(),
                port: dial.rsplit(':').next()?.parse().ok()?,
            };
            Some((lane.to_owned(), site))
        };
        if let Some((lane, site)) = known() {
            found.entry(lane).or_default().push(site);
        }
    }
    found
}

fn route(lane: &str, site: &Site) -> Value {
    json!({
        "@id": format!("{lane} {}", site.domain),
        "match": [{"host": [site.domain]}],
        "handle": [{
            "handler": "reverse_proxy",
            "upstreams": [{"dial": format!("127.0.0.1:{}", site.port)}],
            "load_balancing": {"try_duration": TRIES_FOR, "try_interval": TRIES_EVERY},
        }],
        "terminal": true,
    })
}

fn issuers(settings: &CaddySettings) -> Vec<Value> {
    let issuer = |module: &str, more: &[(&str, &str)]| {
        let mut issuer = Map::new();
        issuer.insert("module".to_owned(), module.into());
        let email = settings.email.as_deref().map(|email| ("email", email));
        for (name, value) in email.iter().chain(more) {
            issuer.insert((*name).to_owned(), (*value).into());
        }
        Value::Object(issuer)
    };
    match &settings.certificates {
        Certificates::Public => vec![issuer("acme", &[]), issuer("zerossl", &[])],
        Certificates::Internal => vec![json!({"module": "internal"})],
        Certificates::Acme(directory) => vec![issuer("acme", &[("ca", directory)])],
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{CaddySettings, Certificates, Site, Sites, config, sites};
    use crate::routing::CaddyHome;

    #[test]
    fn what_caddy_was_told_is_read_again() {
        let site = |domain: &str, port| Site {
            domain: domain.to_owned(),
            port,
        };
        let known = Sites::from([
            ("shop/prod".to_owned(), vec![site("shop.example", 20_000)]),
            (
                "blog/prod".to_owned(),
                vec![
                    site("blog.example", 20_001),
                    site("www.blog.example", 20_001),
                ],
            ),
        ]);
        let settings = CaddySettings {
            program: "caddy".into(),
            http_port: 80,
            https_port: 443,
            certificates: Certificates::Public,
            email: None,
        };
        let told = config(&settings, &CaddyHome::new(Path::new("/data")), &known);
        assert_eq!(sites(&told), known);
    }
}
