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
    lab::{Lab, SECRET, event, http},
};

/// A target that answers with what it was sent. Ends with its owner.
struct Target {
    address: SocketAddr,
    /// Those that it has accepted.
    connections: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Target {
    async fn start() -> Self {
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

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn granted(&self) -> HttpAccess {
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
    pub timeout_ms: u32,
}

impl Post<'_> {
    pub fn source(&self) -> Source {
        let pointer_and_length =
            |at: u32, bytes: usize| format!("(i32.const {at}) (i32.const {bytes})");
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
        let mut headers = 0;
        if let Some((name, value)) = self.header {
            let record: Vec<u8> = [3000, name.len() as u32, 3100, value.len() as u32]
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect();
            source = source
                .data(2900, &record)
                .data(3000, name.as_bytes())
                .data(3100, value.as_bytes());
            headers = 1;
        }
        let body = if self.forward {
            "(i32.load offset=72 (local.get 0)) (i32.load offset=76 (local.get 0))".to_owned()
        } else {
            pointer_and_length(2048, self.body.len())
        };
        let timeout = match self.timeout_ms {
            0 => "(i32.const 0) (i32.const 0)".to_owned(),
            ms => format!("(i32.const 1) (i32.const {ms})"),
        };
        let call = [
            "(call $send (i32.const 1024) (i32.const 4)".to_owned(),
            pointer_and_length(1040, self.url.len()),
            pointer_and_length(2900, headers),
            "(i32.const 1)".to_owned(),
            body,
            timeout,
            "(i32.const 600))".to_owned(),
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

    /// The answer's body, or the error's words.
    async fn send(&self, http: HttpAccess) -> Result<String, String> {
        self.send_with(http, &event()).await
    }

    async fn send_with(&self, http: HttpAccess, event: &GuestEvent) -> Result<String, String> {
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

async fn post(url: &str, http: HttpAccess) -> Result<String, String> {
    Post {
        url,
        ..Post::default()
    }
    .send(http)
    .await
}

#[tokio::test]
async fn a_granted_target_is_reached() {
    let target = Target::start().await;
    let url = format!("{}/hook?a=1", target.origin());
    let answer = Post {
        url: &url,
        header: Some(("x-token", "t")),
        body: b"hello",
        ..Post::default()
    };
    let answer = answer.send(target.granted()).await;
    assert_eq!(answer.as_deref(), Ok("POST /hook?a=1 token=t body=hello"));
}

#[tokio::test]
async fn a_denial_is_the_line_to_add() {
    let denied = post("https://Hooks.Example:443/x?y", http(&[], &[], &[])).await;
    assert_eq!(
        denied,
        Err(r#"grants.http = ["https://hooks.example"]"#.into())
    );
    let granted = http(&["https://a.example"], &[], &[]);
    let denied = post("http://b.example:8080", granted).await;
    let line = r#"grants.http = ["https://a.example", "http://b.example:8080"]"#;
    assert_eq!(denied, Err(line.into()));
}

#[tokio::test]
async fn this_machine_and_private_networks_need_a_grant_of_their_own() {
    for (url, address) in [
        ("http://127.0.0.1:9", "127.0.0.1/32"),
        ("http://2130706433:9", "127.0.0.1/32"),
        ("http://0x7f.0.0.1:9", "127.0.0.1/32"),
        ("http://0177.0.0.1:9", "127.0.0.1/32"),
        ("http://[::ffff:127.0.0.1]:9", "127.0.0.1/32"),
        ("http://[::1]:9", "::1/128"),
        ("http://10.0.0.1:9", "10.0.0.1/32"),
        ("http://192.168.1.1:9", "192.168.1.1/32"),
    ] {
        let denied = post(url, http(&[url], &[], &[])).await;
        assert_eq!(
            denied,
            Err(format!("grants.networks = [\"{address}\"]")),
            "{url}"
        );
    }
    // A name is no way around it.
    let denied = post(
        "http://localhost:9",
        http(&["http://localhost:9"], &[], &[]),
    )
    .await;
    let line = denied.expect_err("denied");
    assert!(line.starts_with("grants.networks = ["), "{line}");
}

#[tokio::test]
async fn our_own_address_and_metadata_are_never_reached() {
    let target = Target::start().await;
    let everything = ["0.0.0.0/0", "::/0"];
    for url in [
        target.origin(),
        format!("http://localhost:{}", target.address.port()),
        format!("http://[::ffff:127.0.0.1]:{}", target.address.port()),
        format!("http://0.0.0.0:{}", target.address.port()),
        "http://169.254.169.254:80".into(),
    ] {
        let granted = http(&[&url], &everything, &[target.address]);
        let denied = post(&url, granted).await.expect_err("denied");
        let is_denied = denied.contains("can be granted to no plugin");
        // Where a machine has both, a name leads to the other loopback address.
        assert!(is_denied || denied.contains("refused"), "{url}: {denied}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let target = Target::start().await;
    let url = format!("{}/redirect", target.origin());
    assert_eq!(post(&url, target.granted()).await, Ok(String::new()));
}

#[tokio::test]
async fn a_redirect_takes_a_secret_nowhere_even_to_where_it_might_go() {
    let (target, other) = (Target::start().await, Target::start().await);
    let origins = [target.origin(), other.origin()];
    let both = http(
        &origins.each_ref().map(String::as_str),
        &["127.0.0.1/32"],
        &[],
    );
    let post = Post {
        url: &format!(
            "{}/away?{}/stolen?k={{secret:TOKEN}}",
            target.origin(),
            other.origin()
        ),
        header: Some(("x-token", "{secret:TOKEN}")),
        ..Post::default()
    };
    assert_eq!(post.send(both).await, Ok(String::new()));
    assert_eq!((target.connections(), other.connections()), (1, 0));
}

#[tokio::test]
async fn whether_it_is_granted_is_asked_before_anything_else() {
    let target = Target::start().await;
    let url = format!("{}/{{secret:NONE}}", target.origin());
    let wrong = Post {
        url: &url,
        header: Some(("host", "{secret:NONE}")),
        ..Post::default()
    };
    // Not what else is wrong with it, nor whether the address may be reached.
    let denied = wrong.send(http(&[], &[], &[target.address])).await;
    assert_eq!(
        denied,
        Err(format!("grants.http = [\"{}\"]", target.origin()))
    );
    // Not even whether there is such a name.
    let nowhere = post("https://nowhere.invalid/", http(&[], &[], &[])).await;
    assert_eq!(
        nowhere,
        Err(r#"grants.http = ["https://nowhere.invalid"]"#.into())
    );
    // Then the address, then the rest.
    let denied = wrong.send(http(&[&target.origin()], &[], &[])).await;
    assert_eq!(denied, Err(r#"grants.networks = ["127.0.0.1/32"]"#.into()));
    let invalid = wrong.send(target.granted()).await.expect_err("refused");
    assert!(invalid.contains("`NONE`"), "{invalid}");
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_url_with_a_user_is_refused() {
    let target = Target::start().await;
    for user in ["user", "user:password", "{secret:TOKEN}"] {
        let url = format!("http://{user}@{}/", target.address);
        let refused = post(&url, target.granted()).await.expect_err("refused");
        assert!(refused.contains("no user and password"), "{refused}");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn what_is_not_http_is_reached_by_no_url() {
    for url in [
        "unix:///var/run/docker.sock",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
        "file:///etc/passwd",
        "ftp://a.example/",
        "data:text/plain,x",
    ] {
        let granted = http(&["https://*.example"], &["0.0.0.0/0"], &[]);
        let refused = post(url, granted).await.expect_err("refused");
        assert!(
            refused.contains("neither `https` nor `http`"),
            "{url}: {refused}"
        );
    }
}

#[tokio::test]
async fn no_plugin_sends_over_a_connection_of_another_one() {
    let target = Target::start().await;
    let (one, other) = (target.granted(), target.granted());
    for (http, connections) in [(&one, 1), (&one, 1), (&other, 2), (&one, 2)] {
        post(&target.origin(), http.clone())
            .await
            .expect("an answer");
        assert_eq!(target.connections(), connections);
    }
}

#[tokio::test]
async fn secrets_go_into_a_request_and_never_come_back() {
    let target = Target::start().await;
    let url = format!("{}/length?k={{secret:TOKEN}}", target.origin());
    let post = Post {
        url: &url,
        header: Some(("x-token", "Bearer {secret:TOKEN}")),
        body: b"text {secret:TOKEN}",
        ..Post::default()
    };
    let answer = post.send(target.granted()).await.expect("an answer");
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    let expected = format!(
        "query={} header={} body={}",
        reversed("k=correct-horse%20%22battery%22"),
        reversed(&format!("Bearer {SECRET}")),
        reversed(&format!("text {SECRET}")),
    );
    assert_eq!(answer, expected);

    let echoed = Post {
        url: &format!("{}/x?k={{secret:TOKEN}}", target.origin()),
        ..post.clone()
    };
    let echoed = echoed.send(target.granted()).await.expect("an answer");
    assert_eq!(
        echoed,
        "POST /x?k=(secret) token=Bearer (secret) body=text (secret)"
    );

    let json = Post {
        url: &format!("{}/length", target.origin()),
        header: Some(("content-type", "application/json")),
        body: b"{\"k\":\"{secret:TOKEN}\"}",
        ..Post::default()
    };
    let json = json.send(target.granted()).await.expect("an answer");
    assert!(
        json.ends_with(&reversed(r#"{"k":"correct-horse \"battery\""}"#)),
        "{json}"
    );
}

#[tokio::test]
async fn a_secret_in_the_host_is_no_url_and_an_unknown_one_is_named() {
    let target = Target::start().await;
    let denied = post("http://{secret:TOKEN}.example/", target.granted()).await;
    let problem = denied.expect_err("refused");
    assert!(
        problem.contains("URL") && !problem.contains("correct"),
        "{problem}"
    );
    let url = format!("{}/{{secret:OTHER}}", target.origin());
    let problem = post(&url, target.granted()).await.expect_err("refused");
    assert!(problem.contains("`OTHER`"), "{problem}");
}

#[tokio::test]
async fn a_failed_connection_does_not_tell_the_secret() {
    // A port that was just free, with nobody behind it.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let url = format!("{origin}/{{secret:TOKEN}}");
    let granted = http(&[&origin], &["127.0.0.1/32"], &[]);
    let problem = post(&url, granted).await.expect_err("nobody there");
    assert!(
        problem.contains("refused") && !problem.contains("correct"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_placeholder_in_an_event_stays_text() {
    let target = Target::start().await;
    let post = Post {
        url: &target.origin(),
        forward: true,
        ..Post::default()
    };
    let hostile = GuestEvent {
        payload: r#"{"line":"{secret:TOKEN}"}"#.into(),
        ..event()
    };
    let answer = post
        .send_with(target.granted(), &hostile)
        .await
        .expect("an answer");
    assert!(
        answer.ends_with(r#"body={"line":"{ secret:TOKEN}"}"#),
        "{answer}"
    );
}

#[tokio::test]
async fn waiting_for_an_answer_is_not_computing() {
    let target = Target::start().await;
    let url = format!("{}/slow", target.origin());
    // A filter may compute for 50 ms; this answer takes 300.
    assert_eq!(post(&url, target.granted()).await.as_deref(), Ok("late"));
}

#[tokio::test]
async fn a_timeout_is_an_error_that_the_guest_survives() {
    let target = Target::start().await;
    let post = Post {
        url: &format!("{}/slow", target.origin()),
        timeout_ms: 20,
        ..Post::default()
    };
    let http = target.granted();
    // `timeout` has no words.
    assert_eq!(post.send(http.clone()).await, Err(String::new()));

    let lab = Lab::new();
    let mut guest = lab
        .start_with(
            &Post {
                timeout_ms: 0,
                ..post
            }
            .source(),
            |setup| {
                // It has read the machine's certificates by now.
                setup.http = http;
                setup.limits.wall = Duration::from_millis(200);
            },
        )
        .await;
    let answer = guest.filter(&event()).await;
    assert_eq!(answer, Err(Fault::Refused(String::new())));
    assert!(!guest.is_dead());
}
