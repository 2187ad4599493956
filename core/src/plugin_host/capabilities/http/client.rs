use std::{error::Error as StdError, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{
    Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use rustls::ClientConfig;
use tokio::sync::OnceCell;

use super::{super::Secrets, Networks, Refusal, Trust};
use crate::plugin_host::sandbox::v1;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_CONNECTIONS_MAX: usize = 2;
/// What a guest gets of an answer; the rest is cut.
const BODY_BYTES_MAX: usize = 1 << 20;
const HEADERS_MAX: usize = 100;

/// A client, made when it is first needed: most plugins seldom send anything,
/// and clients and the certificates that they trust take memory.
pub(super) struct LazyClient {
    resolver: Arc<VettedResolver>,
    user_agent: String,
    trust: Trust,
    client: OnceCell<Client>,
}

impl LazyClient {
    pub(super) fn new(
        networks: &Arc<Networks>,
        port: u16,
        user_agent: &str,
        trust: &Trust,
    ) -> Self {
        Self {
            resolver: Arc::new(VettedResolver {
                networks: networks.clone(),
                port,
            }),
            user_agent: user_agent.to_owned(),
            trust: trust.clone(),
            client: OnceCell::new(),
        }
    }

    pub(super) async fn get(&self) -> Result<&Client, String> {
        let make = || async { self.make(self.trust.tls().await?) };
        let made = self.client.get_or_try_init(make).await;
        made.map_err(|reason| format!("outgoing HTTP cannot be set up: {reason}"))
    }

    fn make(&self, tls: ClientConfig) -> Result<Client, String> {
        Client::builder()
            .use_preconfigured_tls(tls)
            .user_agent(&self.user_agent)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(self.resolver.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build()
            .map_err(|error| innermost(&error))
    }
}

/// Looks a name up and lets only permitted addresses through: what is vetted is
/// what is connected to.
struct VettedResolver {
    networks: Arc<Networks>,
    port: u16,
}

impl Resolve for VettedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, port) = (self.networks.clone(), self.port);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), port)).await?;
            Ok(Box::new(vet(&networks, found)?.into_iter()) as Addrs)
        })
    }
}

fn vet(
    networks: &Networks,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, RefusedAddress> {
    let mut refused = None;
    let mut vetted = Vec::new();
    for address in found {
        match networks.check(address.ip(), address.port()) {
            Ok(()) => vetted.push(address),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    match refused {
        Some(refusal) if vetted.is_empty() => Err(RefusedAddress(refusal)),
        _ => Ok(vetted),
    }
}

/// Travels through reqwest's own errors.
#[derive(Debug, thiserror::Error)]
#[error("the address is not permitted")]
struct RefusedAddress(Refusal);

pub(super) fn refusal(error: &reqwest::Error) -> Option<Refusal> {
    causes(error).find_map(|cause| cause.downcast_ref().map(|RefusedAddress(refusal)| *refusal))
}

/// What really went wrong, without the layers that it went through.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn StdError + 'static)| {
        let cause: &(dyn StdError + 'static) = *cause;
        cause.source()
    })
}

/// Reads an answer up to its limits, without secrets that it may repeat.
pub(super) async fn read(
    mut answer: Response,
    secrets: &Secrets,
) -> Result<v1::http::Response, reqwest::Error> {
    let headers = answer.headers().iter().take(HEADERS_MAX);
    let headers = headers.map(|(name, value)| v1::http::Header {
        name: name.to_string(),
        value: secrets.disarm_answer(String::from_utf8_lossy(value.as_bytes()).into_owned()),
    });
    let (status, headers) = (answer.status().as_u16(), headers.collect());
    let mut body = Vec::new();
    while body.len() < BODY_BYTES_MAX
        && let Some(chunk) = answer.chunk().await?
    {
        body.extend(&chunk);
    }
    body.truncate(BODY_BYTES_MAX);
    Ok(v1::http::Response {
        status,
        headers,
        body: without_secrets(body, secrets),
    })
}

/// Bytes that are no text are handed on as they are, unless a secret is in them.
fn without_secrets(body: Vec<u8>, secrets: &Secrets) -> Vec<u8> {
    match String::from_utf8(body) {
        Ok(text) => secrets.disarm_answer(text).into_bytes(),
        Err(error) => {
            let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let scrubbed = secrets.disarm_answer(lossy.clone());
            if scrubbed == lossy {
                error.into_bytes()
            } else {
                scrubbed.into_bytes()
            }
        }
    }
}
