//! HTTPS: plugins trust whom the machine trusts.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{Router, extract::Request, serve::Listener};
use rustls::{ServerConfig, crypto::ring};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::support::{folder::put, program::Program, wait};

#[tokio::test]
async fn an_https_target_is_trusted_for_the_machines_own_certificates_alone() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (known, stranger) = (SecureTarget::start().await, SecureTarget::start().await);
    let certificates = dir.path().join("roots.pem");
    std::fs::write(&certificates, &known.certificate).expect("written");
    let toml = known.webhook("known") + &stranger.webhook("stranger");
    put(&dir.path().join("plugins"), "hooks.toml", toml);
    let program = Program::serve_trusting(dir.path(), &certificates).await;

    let delivered = test(&program, "known").await;
    assert_eq!(delivered["outcome"], "ok", "{delivered}");
    let refused = test(&program, "stranger").await;
    assert_eq!(refused["outcome"], "retry", "{refused}");
    let detail = refused["detail"].as_str().expect("a reason");
    assert!(detail.contains("invalid peer certificate"), "{detail}");
}

/// Sends a test through a plugin, as soon as it runs.
async fn test(program: &Program, plugin: &str) -> Value {
    let url = format!("{}/api/plugins/{plugin}", program.address);
    let running = wait::answer(async || {
        let answer = program.http.get(&url).send().await.expect("an answer");
        let shown: Value = answer.json().await.expect("JSON");
        (shown["state"] == "running").then_some(())
    });
    running.await.expect("it runs in time");
    let asked = program.http.post(format!("{url}/test")).json(&json!({}));
    let answer = asked.send().await.expect("an answer");
    answer.json().await.expect("JSON")
}

/// Takes what it is sent, over TLS, under a certificate of its own making. Ends
/// with its owner.
struct SecureTarget {
    address: SocketAddr,
    /// PEM.
    certificate: String,
    _server: JoinSet<()>,
}

impl SecureTarget {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let made = made.expect("a certificate");
        let key = made.signing_key.serialize_der();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![made.cert.der().clone()],
                key.try_into().expect("a private key"),
            );
        let listener = TlsListener {
            tcp: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
            acceptor: TlsAcceptor::from(Arc::new(config.expect("a server"))),
        };
        let address = listener.local_addr().expect("an address");
        let routes = Router::new().fallback(|_: Request| async {});
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.expect("served") });
        Self {
            address,
            certificate: made.cert.pem(),
            _server: server,
        }
    }

    fn webhook(&self, name: &str) -> String {
        let origin = format!("https://{}", self.address);
        format!(
            "[plugin.{name}]\nfile = \"builtin:webhook\"\nconfig.url = \"{origin}/\"\n\
             config.sign_with = []\ngrants.http = [\"{origin}\"]\n\
             grants.networks = [\"127.0.0.1/32\"]\n"
        )
    }
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.expect("a connection");
            // Whoever does not trust us goes away in the middle.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
