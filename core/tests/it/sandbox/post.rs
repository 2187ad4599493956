//! A target for a guest that posts, and that guest.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{HeaderMap, Uri},
    response::Redirect,
    routing::any,
    serve::ListenerExt,
};
use tiny_forge::plugin_host::{
    capabilities::HttpAccess,
    sandbox::{Decision, Fault, GuestEvent},
};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    guest::{ANSWER, Source, answer_byte, answer_word},
    lab::{Lab, event, http},
};

/// A target that answers with what it was sent. Ends with its owner.
pub struct Target {
    pub address: SocketAddr,
    /// Those that it has accepted.
    connections: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Target {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let routes = Router::new()
            .route(
                "/redirect",
                any(|| async { Redirect::temporary("/reached") }),
            )
            .route("/away", any(away))
            .route("/slow", any(slow))
            .route("/length", any(length))
            .fallback(echo);
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let listener = listener.tap_io(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.expect("served") });
        Self {
            address,
            connections,
            _server: server,
        }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn granted(&self) -> HttpAccess {
        http(&[&self.origin()], &["127.0.0.1/32"], &[])
    }
}

/// To where the query says.
async fn away(uri: Uri) -> Redirect {
    Redirect::temporary(uri.query().expect("an address"))
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(300)).await;
    "late"
}

/// What it was sent, told by its length and beginning: a secret that is echoed
/// would be scrubbed.
async fn length(uri: Uri, headers: HeaderMap, body: Bytes) -> String {
    let token = headers
        .get("x-token")
        .map_or(&b""[..], |value| value.as_bytes());
    let query = uri.query().unwrap_or("");
    let reversed = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().rev().copied().collect();
        String::from_utf8(bytes).expect("ASCII")
    };
    format!(
        "query={} header={} body={}",
        reversed(query.as_bytes()),
        reversed(token),
        reversed(&body)
    )
}

async fn echo(request: Request) -> String {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let token = parts.headers.get("x-token");
    let token = token.map_or(&b""[..], |value| value.as_bytes());
    format!(
        "{} {} token={} body={}",
        parts.method,
        parts.uri,
        String::from_utf8_lossy(token),
        String::from_utf8_lossy(&body)
    )
}

/// Posts once; drops with the answer's body, or fails with the error's words.
#[derive(Clone, Default)]
pub struct Post<'t> {
    pub url: &'t str,
    pub header: Option<(&'t str, &'t str)>,
    pub body: &'t [u8],
    /// Sends the event's payload instead.
    pub forward: bool,
    /// Without: as long as the server lets it.
    pub timeout_ms: Option<u32>,
}

impl Post<'_> {
    pub fn source(&self) -> Source {
        let mut source = Source::new(super::guest::Role::Filter)
            .import(
                "send",
                "http",
                "send",
                &format!("(param{})", " i32".repeat(12)),
            )
            .data(1024, b"POST")
            .data(1040, self.url.as_bytes())
            .data(2048, self.body);
        if let Some((name, value)) = self.header {
            let record: Vec<u8> = [3000, name.len() as u32, 3100, value.len() as u32]
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect();
            source = source
                .data(2900, &record)
                .data(3000, name.as_bytes())
                .data(3100, value.as_bytes());
        }
        let call = [
            self.call(),
            "(if (i32.load8_u (i32.const 600)) (then".to_owned(),
            answer_byte(0, 1),
            answer_word(4, "(i32.load (i32.const 608))"),
            answer_word(8, "(i32.load (i32.const 612))"),
            ") (else".to_owned(),
            answer_byte(4, 1),
            answer_word(8, "(i32.load (i32.const 616))"),
            answer_word(12, "(i32.load (i32.const 620))"),
            format!("))(i32.const {ANSWER})"),
        ];
        source.call(call.concat()).memory("64")
    }

    /// What sends it: the answer is at 600.
    pub fn call(&self) -> String {
        let pointer_and_length =
            |at: u32, length: usize| format!("(i32.const {at}) (i32.const {length})");
        let body = if self.forward {
            "(i32.load offset=72 (local.get 0)) (i32.load offset=76 (local.get 0))".to_owned()
        } else {
            pointer_and_length(2048, self.body.len())
        };
        let timeout = match self.timeout_ms {
            None => "(i32.const 0) (i32.const 0)".to_owned(),
            Some(ms) => format!("(i32.const 1) (i32.const {ms})"),
        };
        [
            "(call $send (i32.const 1024) (i32.const 4)".to_owned(),
            pointer_and_length(1040, self.url.len()),
            pointer_and_length(2900, self.header.iter().count()),
            "(i32.const 1)".to_owned(),
            body,
            timeout,
            "(i32.const 600))".to_owned(),
        ]
        .join(" ")
    }

    /// The answer's body, or the error's words.
    pub async fn send(&self, http: HttpAccess) -> Result<String, String> {
        self.send_with(http, &event()).await
    }

    pub async fn send_with(&self, http: HttpAccess, event: &GuestEvent) -> Result<String, String> {
        let lab = Lab::new();
        let mut guest = lab
            .start_with(&self.source(), |setup| setup.http = http)
            .await;
        match guest.filter(event).await {
            Ok(Decision::Drop(body)) => Ok(body),
            Err(Fault::Refused(problem)) => Err(problem),
            other => panic!("{other:?}"),
        }
    }
}

pub async fn post(url: &str, http: HttpAccess) -> Result<String, String> {
    Post {
        url,
        ..Post::default()
    }
    .send(http)
    .await
}
