//! Clients that leave: whatever way they listen, and whatever way they go.

use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;

use crate::support::{note::note, raw::Raw, server::Server, wait};

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

async fn subscriptions(server: &Server) -> Vec<Value> {
    let list = server.json("/api/subscriptions").await;
    list["items"].as_array().expect("items").clone()
}

async fn are_left(server: &Server, count: usize, what: &str) {
    let are_left = async || (subscriptions(server).await.len() == count).then_some(());
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
