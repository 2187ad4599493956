//! `http`: outgoing requests to granted origins.
//!
//! The order is the policy: the origin is checked first, then secrets are filled
//! in, and the connection goes only to addresses that were vetted. Redirects are
//! never followed, and no plugin shares a connection with another.

mod client;
mod networks;
mod origin;
mod request;
mod trust;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use reqwest::RequestBuilder;
use url::Url;

pub(super) use self::origin::Origin;
pub use self::trust::Trust;
use self::{
    client::LazyClient,
    networks::{Networks, Refusal},
};
use super::{
    Rehearsal, Secrets,
    rehearsal::{self, as_written},
};
use crate::{
    model::{DryRunRequestMade, TestRequest},
    plugin_host::{
        metrics::HttpOutcome,
        sandbox::{
            HostState,
            v1::{self, http::Error},
        },
    },
};

/// A guest may write a megabyte where a URL belongs, and do so in each host call.
const SHOWN_BYTES_MAX: usize = 4 << 10;

/// Ends what is said of an address that no line would open.
const UNGRANTABLE: &str = "can be granted to no plugin";

/// To one that describes or configures itself.
const NOT_YET: &str = "`describe` and `configure` reach nothing, a plugin sends when it is \
    called with an event";

/// What the operator granted for outgoing HTTP.
#[derive(Debug, Clone, Default)]
pub struct HttpGrants {
    /// `scheme://host[:port]`; the host may begin with `*.`.
    pub origins: Vec<String>,
    /// Networks that are otherwise closed.
    pub networks: Vec<IpNet>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    #[error("`{origin}` in `grants.http` is no origin such as `https://example.org`: {reason}")]
    Origin { origin: String, reason: String },
}

/// Whether one of these grants is enough to reach `asked`; none where that is no origin,
/// so that nothing can be granted for it.
pub fn is_granted(granted: &[String], asked: &str) -> Option<bool> {
    let asked = Origin::parse(asked).ok()?;
    let mut granted = granted.iter().filter_map(|it| Origin::parse(it).ok());
    Some(granted.any(|granted| granted.covers(&asked)))
}

/// An origin as we write it; none where it is none.
pub fn written_origin(origin: &str) -> Option<String> {
    Some(Origin::parse(origin).ok()?.to_string())
}

/// What has to be granted for a request to `url`; none where that is not for HTTP.
pub fn origin_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(Origin::of(&url).ok()?.to_string())
}

/// Outgoing HTTP of one plugin. Cheap to clone.
#[derive(Clone)]
pub struct HttpAccess(Arc<Shared>);

struct Shared {
    grants: HttpGrants,
    origins: Vec<Origin>,
    networks: Arc<Networks>,
    /// One for each granted port: whoever vets an address has to know the port.
    clients: BTreeMap<u16, LazyClient>,
}

impl HttpAccess {
    /// Nothing was granted.
    pub fn reaches_nothing(&self) -> bool {
        self.0.origins.is_empty()
    }

    /// `blocked` are our own listen addresses: never reached, whatever is granted.
    pub fn new(
        grants: HttpGrants,
        blocked: Vec<SocketAddr>,
        user_agent: &str,
        trust: &Trust,
    ) -> Result<Self, GrantError> {
        let parse = |text: &String| {
            Origin::parse(text).map_err(|reason| GrantError::Origin {
                origin: text.clone(),
                reason,
            })
        };
        let origins: Vec<Origin> = grants.origins.iter().map(parse).collect::<Result<_, _>>()?;
        let granted = grants.networks.clone();
        let networks = Arc::new(Networks::new(granted, blocked, client::is_local));
        let client = |port| LazyClient::new(&networks, port, user_agent, trust);
        let ports = origins.iter().map(Origin::port);
        let clients = ports.map(|port| (port, client(port))).collect();
        Ok(Self(Arc::new(Shared {
            grants,
            origins,
            networks,
            clients,
        })))
    }

    async fn send(
        &self,
        request: v1::http::Request,
        secrets: &Secrets,
        time_left: Duration,
    ) -> Result<v1::http::Response, Error> {
        let ready = self.ready(request, secrets, time_left).await?;
        let answer = ready.send().await;
        let answer = answer.map_err(|error| self.failure(error, secrets))?;
        let read = client::read(answer, secrets).await;
        read.map_err(|error| self.failure(error, secrets))
    }

    /// A request that may be sent.
    async fn ready(
        &self,
        request: v1::http::Request,
        secrets: &Secrets,
        time_left: Duration,
    ) -> Result<RequestBuilder, Error> {
        // Parsing takes tabs and line ends out, and what stood apart would name a secret.
        if request.url.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Error::Invalid(
                "a URL has no tabs, line ends or other control characters: escape them".into(),
            ));
        }
        let url = Url::parse(&request.url)
            .map_err(|error| Error::Invalid(format!("the URL cannot be read: {error}")))?;
        let origin = Origin::of(&url).map_err(Error::Invalid)?;
        let client = self.client_for(&url, &origin)?.get().await;
        let client = client.map_err(Error::Connection)?;
        let timeout = request::timeout(request.timeout_ms, time_left)?;
        let ready = request::build(client, url, request, secrets.for_origin(&origin))?;
        Ok(ready.timeout(timeout))
    }

    /// Checks all that is checked before a request leaves, and lets it not leave.
    async fn rehearse(
        &self,
        request: v1::http::Request,
        secrets: &Secrets,
        time_left: Duration,
        rehearsal: &Rehearsal,
    ) -> Result<v1::http::Response, Error> {
        let written = as_written(&request);
        let ready = self.ready(request, secrets, time_left).await;
        let refused = ready.as_ref().err().map(why_refused);
        rehearsal.add(DryRunRequestMade {
            refused: refused.map(|why| rehearsal::shown(why.as_bytes())),
            ..written
        });
        ready.map(|_| rehearsal.answer())
    }

    /// The client for a URL that is granted, which only this hands out.
    fn client_for(&self, url: &Url, origin: &Origin) -> Result<&LazyClient, Error> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Invalid(
                "a URL has no user and password: use a header".into(),
            ));
        }
        let granted = self.0.origins.iter().find(|grant| grant.covers(origin));
        let client = granted.and_then(|grant| self.0.clients.get(&grant.port()));
        let Some(client) = client else {
            return Err(Error::Denied(self.grant_of_origin(origin)));
        };
        // A host that is an address is connected to without being looked up.
        let address = match url.host() {
            Some(url::Host::Ipv4(ip)) => Some(ip.into()),
            Some(url::Host::Ipv6(ip)) => Some(ip.into()),
            Some(url::Host::Domain(_)) | None => None,
        };
        if let Some(ip) = address {
            let checked = self.0.networks.check(ip, origin.port());
            checked.map_err(|refusal| self.refused(refusal))?;
        }
        Ok(client)
    }

    /// The line that grants it, with what is granted already.
    fn grant_of_origin(&self, origin: &Origin) -> String {
        let granted = self.0.grants.origins.iter().cloned();
        let all: Vec<String> = granted.chain([origin.to_string()]).collect();
        format!("grants.http = {all:?}")
    }

    fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Never(ip) => Error::Denied(format!("{ip} {UNGRANTABLE}")),
            Refusal::Closed(ip) => {
                let granted = self.0.grants.networks.iter().copied();
                let all = granted.chain([IpNet::from(ip)]);
                let all: Vec<String> = all.map(|network| network.to_string()).collect();
                Error::Denied(format!("grants.networks = {all:?}"))
            }
        }
    }

    fn failure(&self, error: reqwest::Error, secrets: &Secrets) -> Error {
        if let Some(refusal) = client::refusal(&error) {
            return self.refused(refusal);
        }
        if error.is_timeout() {
            return Error::Timeout;
        }
        // Its URL has the secrets in it.
        let problem = client::innermost(&error.without_url());
        Error::Connection(secrets.scrubber().scrub(problem))
    }
}

fn outcome(answer: &Result<v1::http::Response, Error>) -> HttpOutcome {
    match answer {
        Ok(answer) => HttpOutcome::of_status(answer.status),
        Err(Error::Denied(_)) => HttpOutcome::Denied,
        Err(Error::Invalid(_)) => HttpOutcome::Invalid,
        Err(Error::Timeout) => HttpOutcome::Timeout,
        Err(Error::Connection(_)) => HttpOutcome::Connection,
    }
}

/// Why a request would not have left, as a sentence.
fn why_refused(error: &Error) -> String {
    match error {
        Error::Denied(why) if why.ends_with(UNGRANTABLE) => why.clone(),
        Error::Denied(line) => format!("not granted: add {line}"),
        Error::Invalid(why) | Error::Connection(why) => why.clone(),
        Error::Timeout => "no time was left".to_owned(),
    }
}

/// As much of a method or a URL as is kept to be shown.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)]
}

impl v1::http::Host for HostState {
    async fn send(
        &mut self,
        request: v1::http::Request,
    ) -> wasmtime::Result<Result<v1::http::Response, Error>> {
        self.count_host_call()?;
        let (http, secrets) = (self.setup.http.clone(), self.setup.secrets.clone());
        let (method, url) = (shown(&request.method), shown(&request.url));
        let (method, url) = (method.to_owned(), url.to_owned());
        let left = self.time_left();
        let answer = match self.setup.rehearsal.clone() {
            _ if self.is_starting => Err(Error::Denied(NOT_YET.into())),
            Some(rehearsal) => http.rehearse(request, &secrets, left, &rehearsal).await,
            None => http.send(request, &secrets, left).await,
        };
        self.setup.metrics.http.add(outcome(&answer));
        // As the guest wrote it: with the names of secrets, not their values, unless it
        // has found one out.
        self.requests.push(TestRequest {
            method: secrets.scrubber().scrub(method),
            url: secrets.scrubber().scrub(url),
            status: answer.as_ref().ok().map(|answer| answer.status),
        });
        if let Err(Error::Denied(line)) = &answer {
            self.tell_denied(&format!("a request was denied: {line}"));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{HttpAccess, HttpGrants, Refusal, Trust, why_refused};

    #[test]
    fn a_dry_run_says_what_to_add_or_that_nobody_can_grant_it() {
        let access = HttpAccess::new(HttpGrants::default(), Vec::new(), "test", &Trust::default());
        let access = access.expect("no grant is wrong");
        let why = |refusal| why_refused(&access.refused(refusal));
        assert_eq!(
            why(Refusal::Never(IpAddr::from([169, 254, 169, 254]))),
            "169.254.169.254 can be granted to no plugin"
        );
        assert_eq!(
            why(Refusal::Closed(IpAddr::from([10, 0, 0, 1]))),
            "not granted: add grants.networks = [\"10.0.0.1/32\"]"
        );
    }
}
