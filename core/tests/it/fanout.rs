//! Event streams as their clients see them: many, slow, joined, resumed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use reqwest::Client;
use serde_json::Value;
use tiny_forge::{
    events::{Attachment, Fanout, Filter, Log, Page, Replay, ReplayError},
    model::EventId,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinSet,
};

use crate::support::{
    journal::log_line,
    note::{gap, note},
    raw::Raw,
    server::Server,
    sse::Sse,
    wait,
};

pub async fn publish(server: &Server, messages: std::ops::Range<usize>) {
    let events = messages.map(|n| note(&n.to_string())).collect();
    server.bus().publish_all(events).await.expect("published");
}

/// Only what tests publish.
pub fn is_note(event: &Value) -> bool {
    event["payload"]["what"] == "note"
}

fn message(event: &Value) -> usize {
    let message = event["payload"]["message"].as_str().expect("a message");
    message.parse().expect("a number")
}

/// Reads the notes up to and with `last`.
pub async fn notes_up_to(stream: &mut Sse, last: usize) -> Vec<usize> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        let event = stream.until(is_note).await;
        seen.push(message(&event));
    }
    seen
}

pub async fn until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let held = wait::answer(async || condition().await.then_some(())).await;
    held.expect("the condition holds in time");
}

#[tokio::test]
async fn who_wants_nothing_that_comes_is_told_how_far_the_journal_is() {
    let server = Server::start().await;
    let path = "/api/events?type=watch_gap";
    let mut socket = Raw::open(&server, path).await;
    let mut body = Raw::open(&server, &format!("{path}&format=ndjson")).await;
    socket.until("event: hello").await;
    body.until("hello").await;
    publish(&server, 0..50).await;
    let (told, told_too) = (socket.until("event: bookmark\n"), body.until("bookmark"));
    tokio::join!(told, told_too);
    socket.until("\n\n").await;
    let head = server.bus().head();
    let before = socket.text.split("event: bookmark").next().expect("a part");
    let id = before
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("id: "));
    assert_eq!(id, Some(head.to_string().as_str()));
    let resumed = Sse::open(&server.http, &server.url(path), id).await;
    assert_eq!(resumed.hello["resumed"], true);
    assert_eq!(resumed.hello["missed"], 0);
    server.stop().await;
}

#[tokio::test]
async fn two_hundred_clients_that_attach_at_any_time_miss_nothing_and_see_nothing_twice() {
    const LAST: usize = 3_060;
    let server = Server::start().await;
    let mut clients = JoinSet::new();
    for client in 0..200 {
        let (http, url) = (server.http.clone(), server.url("/api/events"));
        let head = server.bus().head();
        if client % 4 == 0 {
            publish(&server, client * 15..client * 15 + 60).await;
        }
        clients.spawn(async move {
            // A snapshot that is as of `head`, and the stream after it.
            let mut stream = Sse::open(&http, &url, Some(&head.to_string())).await;
            assert_eq!(stream.hello["resumed"], true);
            let mut last_id = head.id.0;
            let mut seen = Vec::new();
            while seen.last() != Some(&LAST) {
                let event = stream.event().await.expect("the stream goes on");
                let id = event["id"].as_i64().expect("an id");
                assert_eq!(id, last_id + 1, "client {client}");
                last_id = id;
                if is_note(&event) {
                    seen.push(message(&event));
                }
            }
        });
    }
    publish(&server, LAST..LAST + 1).await;
    while let Some(client) = clients.join_next().await {
        client.expect("it saw every event once, in order");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_stops_reading_holds_up_nobody_and_gets_the_rest_from_the_journal() {
    const LAST: usize = 60_000;
    let server = Server::start().await;
    let mut stuck = Raw::open(&server, "/api/events?after=0&type=system").await;
    let mut quick = server.sse("/api/events?after=0").await;
    // More than memory and the socket hold together, with what it does not want in between.
    for from in (0..=LAST).step_by(3_000) {
        let notes = (from..(from + 3_000).min(LAST + 1)).map(|n| note(&n.to_string()));
        let events = notes.flat_map(|note| [gap(), note].into_iter().skip(from / 3_000 % 2));
        let published = server.bus().publish_all(events.collect()).await;
        published.expect("published");
    }
    let mut wanted = Vec::new();
    quick
        .until(|event| {
            if event["type"] == "system" {
                wanted.push(event["id"].as_i64().expect("an id"));
            }
            is_note(event) && message(event) == LAST
        })
        .await;
    let items = server.subscriptions().await;
    let lags: Vec<i64> = items.iter().filter_map(|it| it["lag"].as_i64()).collect();
    assert!(
        lags.contains(&0) && lags.iter().any(|lag| *lag > 1_000),
        "{lags:?}"
    );

    stuck.until(&format!("\"message\":\"{LAST}\"")).await;
    assert!(!stuck.text.contains("event: reset"));
    assert_eq!(stuck.ids(), wanted);
    // From here on it is live again.
    let is_up_to_date = |items: Vec<Value>| items.iter().all(|item| item["lag"] == 0);
    until(async || is_up_to_date(server.subscriptions().await)).await;
    for more in [LAST + 1, LAST + 2] {
        publish(&server, more..more + 1).await;
        stuck.until(&format!("\"message\":\"{more}\"")).await;
        wanted.push(server.bus().head().id.0);
        assert_eq!(stuck.ids(), wanted);
    }
    until(async || is_up_to_date(server.subscriptions().await)).await;
    server.stop().await;
}

#[tokio::test]
async fn a_coalescing_stream_leaves_out_no_other_subjects_and_no_log_lines() {
    let server = Server::start().await;
    let path = "/api/events?coalesce=300&type=system,watch_gap,deploy_log";
    let mut stream = server.sse(path).await;
    let mut events = Vec::new();
    for n in 0..300 {
        events.push(note(&n.to_string()));
        events.push(log_line(1, &n.to_string()));
        if n < 3 {
            events.push(gap());
        }
    }
    server.bus().publish_all(events).await.expect("published");
    let (mut lines, mut gaps, mut notes) = (0, 0, Vec::new());
    while lines < 300 || notes.last() != Some(&299) {
        let event = stream.event().await.expect("the stream goes on");
        match event["type"].as_str() {
            Some("deploy_log") => {
                assert_eq!(event["payload"]["line"], lines.to_string());
                lines += 1;
            }
            Some("watch_gap") => gaps += 1,
            _ if is_note(&event) => notes.push(message(&event)),
            _ => {}
        }
    }
    assert!(gaps >= 1 && notes.len() < 200, "{gaps} gaps, {notes:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_coalescing_stream_brings_the_latest_of_each_subject_only() {
    let server = Server::start().await;
    let mut stream = server.sse("/api/events?coalesce=300&type=system").await;
    for n in 0..50 {
        publish(&server, n * 20..n * 20 + 20).await;
    }
    let seen = notes_up_to(&mut stream, 999).await;
    assert!(seen.len() < 500, "{} of 1000 came", seen.len());
    let url = server.url("/api/events?coalesce=7");
    let refused = server.http.get(url).send().await.expect("an answer");
    assert_eq!(refused.status(), 400);
    server.stop().await;
}

#[tokio::test]
async fn a_coalescing_stream_is_resumed_before_what_it_held_back() {
    let server = Server::start().await;
    let path = "/api/events?type=system";
    let mut stream = server.sse(&format!("{path}&coalesce=60000")).await;
    publish(&server, 7..8).await;
    until(async || server.subscriptions().await[0]["lag"] == 1).await;
    loop {
        let frame = stream.frame().await.expect("the stream goes on");
        assert_ne!(frame.event, "message", "it waits for others");
        if frame.event == "bookmark" {
            break;
        }
    }
    let resumed = Some(stream.last_id.as_str());
    let mut resumed = Sse::open(&server.http, &server.url(path), resumed).await;
    drop(stream);
    let event = resumed.until(is_note).await;
    assert_eq!(message(&event), 7);
    server.stop().await;
}

#[tokio::test]
async fn open_streams_are_listed_a_page_at_a_time_the_oldest_first() {
    let server = Server::start().await;
    let over_http2 = Client::builder().no_proxy().http2_prior_knowledge();
    let over_http2 = over_http2.build().expect("a client");
    let (mut streams, mut ids) = (Vec::new(), Vec::new());
    for number in 0..12 {
        let http = if number % 3 == 0 {
            &over_http2
        } else {
            &server.http
        };
        let stream = Sse::open(http, &server.url("/api/events"), None).await;
        ids.push(stream.hello["subscription"].clone());
        streams.push(stream);
    }
    let (mut listed, mut path) = (Vec::new(), "/api/subscriptions?limit=5".to_owned());
    loop {
        let page = server.json(&path).await;
        let items = page["items"].as_array().expect("items");
        listed.extend(items.iter().map(|item| item["id"].clone()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        assert_eq!(items.len(), 5);
        path = format!("/api/subscriptions?limit=5&cursor={next}");
    }
    assert_eq!(listed, ids);
    for refused in ["limit=501", "cursor=x", "transport=body"] {
        let path = format!("/api/subscriptions?{refused}");
        let answer = server.get(&path).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{refused}");
    }
    server.stop().await;
}

#[tokio::test]
async fn more_streams_than_are_allowed_are_told_when_to_come_back() {
    for (most, mine, expected) in [("3", "10", 503), ("10", "3", 429)] {
        let server = Server::configured(|_, args| {
            args.streams_max = Some(most.into());
            args.streams_per_client = Some(mine.into());
        })
        .await;
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(server.sse("/api/events").await);
        }
        let url = server.url("/api/events");
        let refused = server.http.get(&url).send().await.expect("an answer");
        assert_eq!(refused.status().as_u16(), expected);
        assert!(refused.headers().contains_key("retry-after"));
        open.pop();
        until(async || server.subscriptions().await.len() == 2).await;
        Sse::open(&server.http, &url, None).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn streams_of_a_server_that_stops_end_properly_and_at_different_times_to_return() {
    let server = Server::start().await;
    let mut streams = JoinSet::new();
    for _ in 0..20 {
        let mut client = Raw::open(&server, "/api/events").await;
        streams.spawn(async move {
            let read = client.socket.read_to_string(&mut client.text).await;
            read.expect("an end");
            client.text
        });
    }
    until(async || server.subscriptions().await.len() == 20).await;
    server.stop().await;
    let mut waits = BTreeMap::new();
    while let Some(text) = streams.join_next().await {
        let text = text.expect("read");
        assert!(text.contains("event: hello"), "{text}");
        assert!(text.ends_with("\r\n0\r\n\r\n"), "the body ends: {text}");
        let retry = text.rsplit("retry: ").next().expect("a farewell");
        let retry = retry.lines().next().expect("a number").to_owned();
        *waits.entry(retry).or_insert(0) += 1;
    }
    assert!(waits.len() > 10, "{waits:?}");
}

#[tokio::test]
async fn a_client_that_takes_no_more_over_http2_does_not_keep_a_server_from_its_orderly_end() {
    let server = Server::start().await;
    let stuck = Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .http2_initial_stream_window_size(65_535)
        .build()
        .expect("a client");
    let request = stuck.get(server.url("/api/events"));
    let request = request.header("accept", "text/event-stream");
    let _unread = request.send().await.expect("an answer");
    publish(&server, 0..3_000).await;
    until(async || server.subscriptions().await[0]["lag"].as_i64() > Some(0)).await;
    let database = server.dir.path().join("data/tiny-forge.db-wal");
    assert!(database.exists());
    let dir = server.stop_and_keep().await;
    // Its last connection takes the log along, if it is closed.
    assert!(!database.exists(), "the store was still held");
    drop(dir);
}

#[tokio::test]
async fn a_connection_can_be_used_for_requests_before_it_becomes_a_stream() {
    let server = Server::start().await;
    let mut client = Raw::connect(&server).await;
    for path in ["/healthz", "/api/status", "/api/events"] {
        client.ask(path).await;
    }
    until(async || server.subscriptions().await.len() == 1).await;
    publish(&server, 5..6).await;
    client.until("\"message\":\"5\"").await;
    let text = &client.text;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    server.stop().await;
}

/// A journal that takes its time.
struct Slow;

impl Replay for Slow {
    fn page(
        &self,
        _: Filter,
        _: EventId,
        _: EventId,
    ) -> BoxFuture<'static, Result<Page, ReplayError>> {
        std::future::pending().boxed()
    }
}

#[tokio::test]
async fn who_is_behind_hears_from_the_server_while_the_past_is_looked_through() {
    let log = Log::new();
    log.start("jslow", EventId(100));
    let replay: Arc<dyn Replay> = Arc::new(Slow);
    let fanout = Fanout::start(&log, &replay, &Handle::current()).expect("threads");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut client = TcpStream::connect(address).await.expect("connected");
    let (socket, _) = listener.accept().await.expect("accepted");
    fanout.seat().attach(Attachment {
        socket: socket.into_std().expect("a socket"),
        filter: Filter::default(),
        after: EventId(42),
        opening: String::new(),
        guard: Box::new(()),
    });
    let mut text = String::new();
    let heard = async {
        while !text.contains("event: bookmark") {
            let mut bytes = [0; 1_024];
            let read = client.read(&mut bytes).await.expect("a stream");
            text += &String::from_utf8_lossy(&bytes[..read]);
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(30), heard).await;
    heard.expect("a heartbeat");
    assert!(text.contains("id: jslow-42\n"), "{text}");
    tokio::task::spawn_blocking(move || fanout.stop())
        .await
        .expect("it stops");
}
