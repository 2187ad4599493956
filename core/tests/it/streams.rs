//! Event streams over HTTP.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{
    bench::bench,
    note::{gap, note},
    server::Server,
    sse::Sse,
};

#[tokio::test]
async fn a_stream_says_hello_and_replays_from_the_id_it_is_given() {
    let server = Server::start().await;
    let mut live = server.sse("/api/events?after=0").await;
    assert_eq!(live.hello["resumed"], true);
    let first = live.event().await.expect("an event");
    assert_eq!(
        (first["type"].as_str(), first["id"].as_i64()),
        (Some("system"), Some(1))
    );
    assert!(live.last_id.ends_with("-1"), "{}", live.last_id);
    assert_eq!(
        keys(&live.hello),
        ["head", "missed", "oldest", "resumed", "subscription"]
    );
    assert_eq!(
        keys(&first),
        [
            "actor", "id", "node", "payload", "recorded", "severity", "subject", "time", "type"
        ]
    );
    server.stop().await;
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn each_filter_lets_through_what_it_names_and_nothing_else() {
    let bench = bench().await;
    bench.project("sieve", |_| {}).await;
    bench.project("other", |_| {}).await;
    assert_eq!(bench.deploy("sieve").await["status"], "succeeded");
    // A deploy may end before the watcher tells of its instance.
    let path = "/api/events?instance=sieve-prod-1-0&after=0";
    bench
        .server
        .sse(path)
        .await
        .event()
        .await
        .expect("an event");
    for (filter, pointer, allowed) in [
        ("type=project_status", "/type", &["project_status"][..]),
        (
            "type=system,deploy_status",
            "/type",
            &["system", "deploy_status"],
        ),
        (
            "project=sieve&type=project_status",
            "/payload/project",
            &["sieve"],
        ),
        ("stage=prod&type=deploy_status", "/payload/stage", &["prod"]),
        (
            "instance=sieve-prod-1-0",
            "/payload/name",
            &["sieve-prod-1-0"],
        ),
        ("deploy=1", "/type", &["deploy_status", "deploy_log"]),
        (
            "severity=debug&type=deploy_status",
            "/type",
            &["deploy_status"],
        ),
    ] {
        let page = bench
            .server
            .json(&format!("/api/events?limit=500&{filter}"))
            .await;
        let items = page["items"].as_array().expect("items");
        assert!(!items.is_empty(), "{filter} lets nothing through");
        for item in items {
            let found = item
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default();
            assert!(allowed.contains(&found), "{filter}: {item}");
        }
    }
    for nothing in [
        "severity=critical",
        "project=gone",
        "stage=dev",
        "deploy=99",
    ] {
        let page = bench.server.json(&format!("/api/events?{nothing}")).await;
        assert_eq!(page["items"].as_array().map(Vec::len), Some(0), "{nothing}");
    }
    bench.server.stop().await;
}

#[tokio::test]
async fn a_stream_of_another_journal_is_answered_with_a_reset() {
    let server = Server::start().await;
    let mut stale = Sse::open(&server.http, &server.url("/api/events"), Some("jold-7")).await;
    assert_eq!(stale.hello["resumed"], false);
    let frame = stale.frame().await.expect("a frame");
    assert_eq!(frame.event, "reset");
    assert!(frame.data.contains("foreign_journal"), "{}", frame.data);
    server.stop().await;
}

#[tokio::test]
async fn open_streams_end_at_once_when_the_server_stops_and_resume_after_it() {
    let server = Server::start().await;
    let mut stream = server.sse("/api/events?after=0").await;
    stream.event().await.expect("an event");
    let started = Instant::now();
    let server = server.restart().await;
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "a stop takes ten seconds at most"
    );
    while stream.event().await.is_some() {}
    let url = server.url("/api/events");
    let mut resumed = Sse::open(&server.http, &url, Some(&stream.last_id)).await;
    let event = resumed
        .until(|event| event["payload"]["what"] == "started")
        .await;
    assert_eq!(resumed.hello["resumed"], true);
    assert!(event["id"].as_i64() > Some(1));
    server.stop().await;
}

/// Its journal is so long that a page takes two reads, and has something rare at both ends.
async fn with_long_journal() -> Server {
    let server = Server::start().await;
    let rare = vec![gap()];
    server.bus().publish_all(rare).await.expect("published");
    for _ in 0..20 {
        let many = (0..3_000).map(|n| note(&n.to_string())).collect();
        server.bus().publish_all(many).await.expect("published");
    }
    let rare = vec![gap()];
    server.bus().publish_all(rare).await.expect("published");
    server
}

#[tokio::test]
async fn what_is_rare_is_found_however_far_it_is_back() {
    let server = with_long_journal().await;
    for (order, found) in [("asc", 2), ("desc", 2), ("desc&before=60000", 1)] {
        let path = format!("/api/events?type=watch_gap&order={order}");
        let page = server.json(&path).await;
        assert_eq!(
            page["items"].as_array().map(Vec::len),
            Some(found),
            "{page}"
        );
        assert_eq!(page["next"], Value::Null);
    }
    let path = "/api/events?type=watch_gap&order=desc&before=-9223372036854775808";
    assert_eq!(server.json(path).await["items"], serde_json::json!([]));
    server.stop().await;
}

#[tokio::test]
async fn who_follows_a_page_of_several_reads_from_its_as_of_loses_nothing() {
    // Together fewer than a page holds: a full one would take one read.
    const PAGES_MAX: usize = 20;
    const EVENTS_DURING_A_PAGE: usize = 20;
    let server = with_long_journal().await;
    let database = server.dir.path().join("data/tiny-forge.db");
    let database = Connection::open(database).expect("a database");
    // Its commits wait for no disk, and checkpoints are the server's.
    for (setting, value) in [("synchronous", 0), ("wal_autocheckpoint", 0)] {
        let set = database.pragma_update(None, setting, value);
        set.expect("a setting of SQLite");
    }
    // `oldest` is of the last read. Here it follows each event at once, as if retention did.
    let mark = "UPDATE kept SET floor = (
                    SELECT id FROM events WHERE type = 'watch_gap' ORDER BY id DESC LIMIT 1
                ) WHERE type = 'watch_gap'";
    let publishing = async || {
        for _ in 0..EVENTS_DURING_A_PAGE {
            let one = vec![gap()];
            server.bus().publish_all(one).await.expect("published");
            database.execute(mark, []).expect("marked");
        }
    };
    let mut tries = 0..PAGES_MAX;
    let mut fell_between = false;
    while !fell_between {
        let left = tries.next();
        left.expect("an event falls between two reads of one of these pages");
        let path = "/api/events?type=watch_gap&order=desc&limit=500";
        let ((), page) = tokio::join!(publishing(), server.json(path));
        let as_of = page["as_of"]["id"].as_i64().expect("an id");
        let all = server.json("/api/events?type=watch_gap&limit=500").await;
        let mut until_then = ids(&all);
        until_then.retain(|id| *id <= as_of);
        until_then.reverse();
        assert_eq!(ids(&page), until_then, "what came until {as_of}");
        // The last read has seen an event that the first one has not.
        fell_between = page["oldest"]["id"].as_i64() > Some(as_of + 1);
    }
    drop(database);
    server.stop().await;
}

fn ids(page: &Value) -> Vec<i64> {
    let items = page["items"].as_array().expect("items").iter();
    items
        .map(|item| item["id"].as_i64().expect("an id"))
        .collect()
}

#[tokio::test]
async fn what_would_not_be_used_of_a_question_is_refused() {
    let server = Server::start().await;
    let long = format!("instance={}", "x".repeat(256));
    for question in ["before=5", "order=desc&after=5", &long] {
        let url = server.url(&format!("/api/events?{question}"));
        let asked = server.http.get(url).header("accept", "application/json");
        let answer = asked.send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{question}");
    }
    // Each form has its own.
    for (accept, question, remedy) in [
        ("application/json", "coalesce=300", "it is for streams"),
        ("*/*", "limit=5", "accept: application/json"),
        ("*/*", "order=desc", "accept: application/json"),
    ] {
        let url = server.url(&format!("/api/events?{question}"));
        let asked = server.http.get(url).header("accept", accept);
        let answer = asked.send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{question}");
        let told = answer.text().await.expect("a body");
        assert!(told.contains(remedy), "{told}");
    }
    // The first would be answered with 404 if the second were not seen.
    for (body, status) in [("{}", 404), ("{} {}", 422)] {
        let url = server.url("/api/subscriptions/sgone");
        let post = server
            .http
            .post(url)
            .header("content-type", "application/json");
        let answer = post.body(body).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_of_large_events_ends_early_and_says_how_to_go_on() {
    let server = Server::start().await;
    let large = "x".repeat(50 << 10);
    let many = (0..200).map(|_| note(&large)).collect();
    server.bus().publish_all(many).await.expect("published");
    let (mut after, mut seen, mut pages) = ("0".to_owned(), 0, 0);
    loop {
        let path = format!("/api/events?type=system&limit=500&after={after}");
        let page = server.json(&path).await;
        let items = page["items"].as_array().expect("items").iter();
        seen += items
            .filter(|it| it["payload"]["message"] == *large)
            .count();
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, 200);
    assert!(pages > 2, "{pages} pages of 10 MiB");
    server.stop().await;
}

#[tokio::test]
async fn pages_of_past_events_go_both_ways() {
    let server = Server::start().await.restart().await.restart().await;
    let newest = server.json("/api/events?order=desc&limit=2").await;
    let items = newest["items"].as_array().expect("items");
    assert_eq!(items.len(), 2);
    assert!(items[0]["id"].as_i64() > items[1]["id"].as_i64());
    let next = newest["next"].as_str().expect("there is more");
    let older = server
        .json(&format!("/api/events?order=desc&before={next}"))
        .await;
    assert_eq!(
        older["items"][0]["id"].as_i64(),
        items[1]["id"].as_i64().map(|id| id - 1)
    );
    let oldest = server.json("/api/events?limit=1").await;
    assert_eq!(oldest["items"][0]["id"], 1);
    server.stop().await;
}

#[tokio::test]
async fn a_new_stream_can_be_resumed_before_anything_has_come() {
    let server = Server::start().await;
    let url = server.url("/api/events");
    let quiet = Sse::open(&server.http, &url, None).await;
    assert_eq!(
        quiet.hello["head"], quiet.last_id,
        "`hello` says where it begins"
    );
    let lost = note("meanwhile");
    server
        .bus()
        .publish_all(vec![lost])
        .await
        .expect("published");
    let mut resumed = Sse::open(&server.http, &url, Some(&quiet.last_id)).await;
    assert_eq!(resumed.hello["resumed"], true);
    assert_eq!(resumed.last_id, quiet.last_id, "from where it goes on");
    resumed
        .until(|event| event["payload"]["message"] == "meanwhile")
        .await;
    server.stop().await;
}

#[tokio::test]
async fn a_number_that_a_client_remembers_without_its_journal_is_answered_with_a_reset() {
    let server = Server::start().await;
    let url = server.url("/api/events");
    let mut stale = Sse::open(&server.http, &url, Some("1")).await;
    assert_eq!(stale.hello["resumed"], false);
    let frame = stale.frame().await.expect("a frame");
    assert_eq!(frame.event, "reset");
    assert!(frame.data.contains("foreign_journal"), "{}", frame.data);
    server.stop().await;
}
