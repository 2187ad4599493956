use std::fmt;

use url::{Host, Url};

/// Where a plugin may send requests: scheme, host, port, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugin_host::capabilities) struct Origin {
    scheme: String,
    host: HostPattern,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Is(Host),
    /// `*.example.org`: every name below it, but not itself.
    Below(String),
}

impl Origin {
    /// Reads `scheme://host[:port]`; the error says what is wrong.
    pub(in crate::plugin_host::capabilities) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("it begins with `https://` or `http://`")?;
        let (is_below, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.contains('*') {
            return Err(
                "`*` stands only for whole names at the front, as in `*.example.org`".into(),
            );
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|error| error.to_string())?;
        let has_more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        if has_more || !url.username().is_empty() || url.password().is_some() {
            return Err("only scheme, host and port can be granted".into());
        }
        let (scheme, host, port) = parts(&url)?;
        let host = match host {
            Host::Domain(name) if is_below => HostPattern::Below(name),
            Host::Ipv4(_) | Host::Ipv6(_) if is_below => {
                return Err("`*.` goes with a name, not with an address".into());
            }
            host => HostPattern::Is(host),
        };
        Ok(Self { scheme, host, port })
    }

    /// The origin that `url` is at; the error says why it has none.
    pub(super) fn of(url: &Url) -> Result<Self, String> {
        let (scheme, host, port) = parts(url)?;
        Ok(Self {
            scheme,
            host: HostPattern::Is(host),
            port,
        })
    }

    /// Whether a grant of `self` lets a request to `other` through.
    pub(in crate::plugin_host::capabilities) fn covers(&self, other: &Self) -> bool {
        let host = match (&self.host, &other.host) {
            (HostPattern::Below(parent), HostPattern::Is(Host::Domain(name))) => name
                .strip_suffix(parent.as_str())
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
            (own, other) => own == other,
        };
        host && self.scheme == other.scheme && self.port == other.port
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        write!(f, "{scheme}://")?;
        match host {
            HostPattern::Is(host) => write!(f, "{host}")?,
            HostPattern::Below(parent) => write!(f, "*.{parent}")?,
        }
        match (scheme.as_str(), port) {
            ("http", 80) | ("https", 443) => Ok(()),
            _ => write!(f, ":{port}"),
        }
    }
}

/// Lower case, IDNA and the many spellings of an address are the parser's work;
/// a name's final dot is ours.
fn parts(url: &Url) -> Result<(String, Host, u16), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}` is neither `https` nor `http`", url.scheme()));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => Host::Domain(name.trim_end_matches('.').to_owned()),
        Some(Host::Ipv4(address)) => Host::Ipv4(address),
        Some(Host::Ipv6(address)) => Host::Ipv6(address),
        None => return Err("it has no host".into()),
    };
    let port = url.port_or_known_default().ok_or("it has no port")?;
    Ok((url.scheme().to_owned(), host, port))
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::Origin;

    fn covers(grant: &str, url: &str) -> bool {
        let url = Url::parse(url).expect("a URL");
        let origin = Origin::of(&url).expect("an origin");
        Origin::parse(grant).expect("a grant").covers(&origin)
    }

    #[test]
    fn a_grant_is_scheme_host_and_port() {
        assert!(covers("https://a.example", "https://a.example/x?y"));
        assert!(covers("https://A.example.", "https://a.EXAMPLE./"));
        assert!(covers("https://a.example:443", "https://a.example"));
        assert!(covers(
            "https://bücher.example",
            "https://xn--bcher-kva.example"
        ));
        for url in [
            "http://a.example",
            "https://a.example:8443",
            "https://b.a.example",
            "https://a.example.evil.test",
            "https://a.example@evil.test",
        ] {
            assert!(!covers("https://a.example", url), "{url}");
        }
    }

    #[test]
    fn a_star_stands_for_names_below_only() {
        assert!(covers("https://*.example.org", "https://a.example.org"));
        assert!(covers("https://*.example.org", "https://a.b.example.org"));
        for url in [
            "https://example.org",
            "https://.example.org",
            "https://evilexample.org",
            "https://a.example.org:8443",
        ] {
            let parsed = Url::parse(url).ok().and_then(|url| Origin::of(&url).ok());
            let grant = Origin::parse("https://*.example.org").expect("a grant");
            assert!(!parsed.is_some_and(|origin| grant.covers(&origin)), "{url}");
        }
    }

    #[test]
    fn addresses_are_the_same_in_every_spelling() {
        for url in ["http://2130706433", "http://0x7f.1", "http://0177.0.0.1"] {
            assert!(covers("http://127.0.0.1", url), "{url}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_as_a_grant() {
        for grant in [
            "*",
            "https://*",
            "a.example",
            "ftp://a.example",
            "https://a.example/path",
            "https://user@a.example",
            "https://a.*.example",
            "https://*.10.0.0.1",
            "https://",
        ] {
            assert!(Origin::parse(grant).is_err(), "{grant}");
        }
    }

    #[test]
    fn an_origin_is_shown_as_it_is_granted() {
        for text in [
            "https://a.example",
            "http://a.example:8080",
            "http://[::1]:8080",
            "https://*.example.org",
        ] {
            let origin = Origin::parse(text).expect("an origin");
            assert_eq!(origin.to_string(), text);
        }
    }
}
