//! Clients that leave: whatever way they listen, and whatever way they go.

use std::{net::SocketAddr, time::Duration};

use reqwest::Client;
use socket2::SockRef;
use tokio::{io::AsyncWriteExt, net::TcpSocket};

use crate::{
    fanout::{notes_up_to, publish, until},
    support::{note::note, raw::Raw, server::Server, wait},
};

/// Within this time each stream has something to send.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A way for each thing that writes streams over HTTP/1.1.
const LISTENING: [&str; 4] = [
    "/api/events",
    "/api/events?format=ndjson",
    "/api/events?format=cloudevents",
    "/api/events?coalesce=60000",
];

/// How a client goes.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    Closes,
    /// It says no more, and would go on reading.
    HalfCloses,
    Resets,
}

impl Leaving {
    /// What is left of it.
    async fn leave(self, mut client: Raw) -> Option<Raw> {
        match self {
            Self::Closes => None,
            Self::HalfCloses => {
                client
                    .socket
                    .shutdown()
                    .await
                    .expect("half of it is closed");
                Some(client)
            }
            Self::Resets => {
                let socket = SockRef::from(&client.socket);
                socket.set_linger(Some(Duration::ZERO)).expect("set");
                None
            }
        }
    }
}

async fn are_left(server: &Server, count: usize, what: &str) {
    let are_left = async || (server.subscriptions().await.len() == count).then_some(());
    let noticed = tokio::time::timeout(HEARTBEAT, wait::answer(are_left)).await;
    noticed.unwrap_or_else(|_| panic!("{what}: not {count} within a heartbeat"));
}

#[tokio::test]
async fn who_leaves_over_http1_is_no_subscriber_within_a_heartbeat_even_if_it_took_nothing_more() {
    let server = Server::start().await;
    for path in LISTENING {
        for leaving in [Leaving::Closes, Leaving::HalfCloses, Leaving::Resets] {
            for is_stuck in [false, true] {
                let what = format!("{path} {leaving:?}, stuck: {is_stuck}");
                let mut client = Raw::open(&server, path).await;
                client.until("hello").await;
                are_left(&server, 1, &what).await;
                if is_stuck {
                    overwhelm(&server).await;
                }
                let _rest = leaving.leave(client).await;
                are_left(&server, 0, &what).await;
            }
        }
    }
    server.stop().await;
}

/// More than a socket takes of one that does not read.
async fn overwhelm(server: &Server) {
    let large = "x".repeat(50 << 10);
    for _ in 0..3 {
        let many = (0..100).map(|_| note(&large)).collect();
        server.bus().publish_all(many).await.expect("published");
    }
}

#[tokio::test]
async fn who_leaves_over_http2_is_no_subscriber_within_a_heartbeat_and_others_of_its_connection_stay()
 {
    let server = Server::start().await;
    for path in LISTENING {
        for is_stuck in [false, true] {
            let what = format!("{path}, stuck: {is_stuck}");
            let over_http2 = Client::builder().no_proxy().http2_prior_knowledge();
            let http = over_http2.build().expect("a client");
            let mut streams = Vec::new();
            for _ in 0..3 {
                let request = http.get(server.url(path));
                let request = request.header("accept", "text/event-stream");
                let mut stream = request.send().await.expect("an answer");
                stream.chunk().await.expect("read").expect("a hello");
                streams.push(stream);
            }
            are_left(&server, 3, &what).await;
            if is_stuck {
                overwhelm(&server).await;
            }
            // Its stream is reset.
            streams.pop();
            are_left(&server, 2, &what).await;
            // The connection goes with the last that use it.
            drop((http, streams));
            are_left(&server, 0, &what).await;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_at_once_and_the_others_go_on() {
    let server = Server::start().await;
    let mut stays = server.sse("/api/events").await;
    for _ in 0..20 {
        let leaves = server.sse("/api/events?type=system").await;
        assert_eq!(server.subscriptions().await.len(), 2);
        publish(&server, 0..100).await;
        drop(leaves);
        until(async || server.subscriptions().await.len() == 1).await;
    }
    publish(&server, 777..778).await;
    assert_eq!(notes_up_to(&mut stays, 777).await.len(), 2_001);
    server.stop().await;
}

#[tokio::test]
async fn clients_that_vanish_without_a_word_are_let_go_in_the_end() {
    let server = Server::start().await;
    // Written to by a fan-out thread, and as a body.
    let mut unplugged = Vec::new();
    for (number, accepted) in ["text/event-stream", "application/x-ndjson"]
        .iter()
        .enumerate()
    {
        // An address of this test's own, for the firewall to know it by.
        let socket = TcpSocket::new_v4().expect("a socket");
        let own = "127.66.0.1:0".parse().expect("an address");
        socket.bind(own).expect("all of 127/8 is this machine");
        let mut client = socket
            .connect(server.address())
            .await
            .expect("a connection");
        let request =
            format!("GET /api/events HTTP/1.1\r\nHost: localhost\r\nAccept: {accepted}\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("sent");
        until(async || server.subscriptions().await.len() == number + 1).await;
        let address = client.local_addr().expect("an address");
        unplugged.push((Unplugged::new(address), client));
    }
    publish(&server, 0..1).await;
    // Their connections are as they were: only the acknowledgements are missing.
    let gone = async {
        let mut looks = tokio::time::interval(Duration::from_secs(1));
        while !server.subscriptions().await.is_empty() {
            looks.tick().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(120), gone).await;
    gone.expect("nobody is waited for for ever");
    server.stop().await;
}

/// Nothing that is sent from this address arrives.
struct Unplugged {
    rule: Vec<String>,
}

impl Unplugged {
    fn new(client: SocketAddr) -> Self {
        let (ip, port) = (client.ip().to_string(), client.port().to_string());
        let rule = ["-p", "tcp", "-s", &ip, "--sport", &port, "-j", "DROP"];
        let rule = rule.map(str::to_owned).to_vec();
        assert!(iptables("-I", &rule), "a rule of the firewall");
        Self { rule }
    }
}

impl Drop for Unplugged {
    fn drop(&mut self) {
        iptables("-D", &self.rule);
    }
}

fn iptables(what: &str, rule: &[String]) -> bool {
    let mut command = std::process::Command::new("iptables");
    let command = command.args(["-w", what, "INPUT"]).args(rule);
    command.status().expect("iptables runs").success()
}
