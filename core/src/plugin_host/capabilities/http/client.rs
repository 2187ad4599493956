use std::{
    error::Error as StdError,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header, redirect,
};
use rustls::ClientConfig;
use tokio::{
    sync::{OnceCell, Semaphore},
    task::spawn_blocking,
};

use super::{super::Secrets, Networks, Refusal, Trust};
use crate::plugin_host::sandbox::v1;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_CONNECTIONS_MAX: usize = 2;
/// Names that a plugin looks up at once.
const LOOKUPS_MAX: usize = 4;
/// What a guest gets of an answer; the rest is cut.
const BODY_BYTES_MAX: usize = 1 << 20;
const HEADERS_MAX: usize = 100;
/// Of a body; a longer one is not searched among guests.
const SEARCHED_AT_ONCE: usize = 16 << 10;
/// Stands for a body in which a secret could not be found.
const WITHHELD: &str = "(a compressed answer, which nobody asked for, is withheld)";

/// Whether this machine has the address: only then can a socket be bound to it.
pub(super) fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

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
                lookup: system,
                lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
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
    lookup: Lookup,
    /// Of this plugin. A lookup that has begun takes a thread until it ends, whoever waits
    /// for it or does not.
    lookups: Arc<Semaphore>,
}

/// A name and a port → addresses. May take its time.
type Lookup = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// As this machine looks names up.
fn system(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((name, port).to_socket_addrs()?.collect())
}

impl Resolve for VettedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, port, lookup) = (self.networks.clone(), self.port, self.lookup);
        let lookups = self.lookups.clone();
        Box::pin(async move {
            let turn = lookups.acquire_owned().await?;
            let found = spawn_blocking(move || {
                let found = lookup(name.as_str(), port);
                drop(turn);
                found
            });
            Ok(Box::new(vet(&networks, found.await??)?.into_iter()) as Addrs)
        })
    }
}

fn vet(networks: &Networks, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, RefusedAddress> {
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
    let text = |bytes: &[u8]| {
        let disarmed = secrets.disarm_answer(bytes.to_vec(), false);
        String::from_utf8_lossy(&disarmed).into_owned()
    };
    let headers = answer.headers().iter().take(HEADERS_MAX);
    let headers = headers.map(|(name, value)| v1::http::Header {
        name: text(name.as_str().as_bytes()),
        value: text(value.as_bytes()),
    });
    let (status, headers) = (answer.status().as_u16(), headers.collect());
    if !secrets.is_empty() && is_encoded(&answer) {
        let body = WITHHELD.as_bytes().to_vec();
        return Ok(v1::http::Response {
            status,
            headers,
            body,
        });
    }
    let mut body = Vec::new();
    while body.len() <= BODY_BYTES_MAX
        && let Some(chunk) = answer.chunk().await?
    {
        body.extend(&chunk);
    }
    let is_cut = body.len() > BODY_BYTES_MAX;
    body.truncate(BODY_BYTES_MAX);
    let mut body = searched(body, is_cut, secrets).await;
    body.truncate(BODY_BYTES_MAX);
    Ok(v1::http::Response {
        status,
        headers,
        body,
    })
}

/// A large one on a thread of its own: a target may answer with what takes long to search.
async fn searched(body: Vec<u8>, is_cut: bool, secrets: &Secrets) -> Vec<u8> {
    if body.len() <= SEARCHED_AT_ONCE {
        return secrets.disarm_answer(body, is_cut);
    }
    let secrets = secrets.clone();
    let searching = spawn_blocking(move || secrets.disarm_answer(body, is_cut));
    // It does not panic; if it did, nothing of the body could be shown.
    searching.await.unwrap_or_default()
}

/// Although it was told not to.
fn is_encoded(answer: &Response) -> bool {
    let mut encodings = answer.headers().get_all(header::CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{
        super::super::{SecretValue, Secrets},
        *,
    };

    const SECRET: &str = "correct-horse";

    fn networks(granted: &[&str]) -> Arc<Networks> {
        let granted = granted.iter().map(|text| text.parse().expect("a network"));
        Arc::new(Networks::new(granted.collect(), Vec::new(), |_| false))
    }

    async fn client(port: u16, lookup: Lookup) -> Client {
        let mut lazy = LazyClient::new(
            &networks(&["127.0.0.1/32"]),
            port,
            "test",
            &Trust::default(),
        );
        lazy.resolver = Arc::new(VettedResolver {
            networks: networks(&["127.0.0.1/32"]),
            port,
            lookup,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        });
        lazy.get().await.expect("a client").clone()
    }

    /// Takes one request, and answers with these bytes.
    async fn answer_one(listener: &TcpListener, answer: &[u8]) {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("a request"));
        }
        stream.write_all(answer).await.expect("sent");
        stream.shutdown().await.expect("ended");
    }

    /// The first answer is permitted, those after it are not.
    #[allow(clippy::unnecessary_wraps, reason = "the shape of a lookup")]
    fn rebinding(_: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let last = 1 + u8::from(LOOKUPS.fetch_add(1, Ordering::SeqCst) > 0);
        Ok(vec![SocketAddr::from(([127, 0, 0, last], port))])
    }

    static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

    #[tokio::test]
    async fn a_name_that_changes_its_address_leads_only_to_what_was_vetted() {
        let permitted = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = permitted.local_addr().expect("an address").port();
        let closed = std::net::TcpListener::bind(("127.0.0.2", port)).expect("the same port");
        let client = client(port, rebinding).await;
        let get = || client.get(format!("http://rebinding.test:{port}/")).send();
        let done = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

        let (answer, ()) = tokio::join!(get(), answer_one(&permitted, done));
        assert_eq!(answer.expect("an answer").status(), 200);
        assert_eq!(
            LOOKUPS.load(Ordering::SeqCst),
            1,
            "looked up once, then connected"
        );

        let refused = get().await.expect_err("refused");
        let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(refusal(&refused), Some(Refusal::Closed(other)));
        closed.set_nonblocking(true).expect("set");
        let untouched = closed.accept().expect_err("no connection");
        assert_eq!(untouched.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn of_several_addresses_only_the_permitted_ones_are_tried() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            let parsed = texts.iter().map(|text| text.parse().expect("an address"));
            parsed.collect()
        };
        let networks = networks(&["127.0.0.1/32"]);
        let mixed = addresses(&[
            "10.0.0.1:80",
            "93.184.216.34:80",
            "[::1]:80",
            "127.0.0.1:80",
        ]);
        let vetted = vet(&networks, mixed).expect("some");
        assert_eq!(vetted, addresses(&["93.184.216.34:80", "127.0.0.1:80"]));
        for closed in ["10.0.0.1:80", "[64:ff9b::a00:1]:80", "169.254.169.254:80"] {
            assert!(vet(&networks, addresses(&[closed])).is_err(), "{closed}");
        }
    }

    /// What a guest is given when the target answers with these bytes.
    async fn given(answer: &[u8]) -> v1::http::Response {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = client(address.port(), system).await;
        let value = SecretValue {
            value: SECRET.into(),
            to: None,
        };
        let secrets = Secrets::new([("TOKEN".to_owned(), value)]).expect("unbound");
        let asked = async {
            let answer = client.get(format!("http://{address}/")).send().await;
            read(answer.expect("an answer"), &secrets).await
        };
        let (given, ()) = tokio::join!(asked, answer_one(&listener, answer));
        given.expect("read")
    }

    #[tokio::test]
    async fn an_answer_does_not_repeat_a_secret_in_a_header_or_in_bytes() {
        let head =
            b"HTTP/1.1 401 No\r\nx-correct-horse: a\r\nx-token: Bearer correct-horse\r\n\r\n";
        let body = b"\xff\xfe correct-horse Y29ycmVjdC1ob3JzZQ== {secret:TOKEN}";
        let given = given(&[&head[..], body].concat()).await;
        assert_eq!(given.body, b"\xff\xfe (secret) (secret) { secret:TOKEN}");
        let headers: Vec<String> = given
            .headers
            .iter()
            .map(|header| format!("{}: {}", header.name, header.value))
            .collect();
        assert_eq!(headers, ["x-(secret): a", "x-token: Bearer (secret)"]);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_ends_with_no_part_of_a_secret() {
        for shown in 1..SECRET.len() {
            let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
            let filler = vec![b'.'; BODY_BYTES_MAX - shown];
            let answer = [head, filler, SECRET.into()].concat();
            let given = given(&answer).await;
            assert!(given.body.len() <= BODY_BYTES_MAX);
            let end = given.body.iter().position(|byte| *byte != b'.');
            let end = &given.body[end.expect("an end")..];
            assert!("(secret)".as_bytes().starts_with(end), "{shown}: {end:?}");
        }
    }

    #[tokio::test]
    async fn a_compressed_answer_is_withheld() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8b\x08";
        let given = given(answer).await;
        assert_eq!((given.status, given.body), (200, WITHHELD.into()));
    }
}
