//! Streams of JSON lines.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{bench::bench, lines::Lines, server::Server};

async fn open(server: &Server, path: &str) -> Lines {
    Lines::open(&server.http, &server.url(path)).await
}

#[tokio::test]
async fn a_stream_of_lines_says_hello_and_goes_on_from_the_position_of_any_line() {
    let server = Server::start().await.restart().await;
    let mut all = open(&server, "/api/events?after=0").await;
    let hello = all.next().await.expect("a line");
    assert_eq!(hello["control"], "hello");
    assert_eq!(hello["resumed"], true);
    let first = all.next().await.expect("an event");
    assert_eq!(
        (&first["id"], &first["type"]),
        (&json!(1), &json!("system"))
    );
    let position = first["position"].as_str().expect("a position");
    let mut resumed = open(
        &server,
        &format!("/api/events?format=ndjson&after={position}"),
    )
    .await;
    resumed.next().await.expect("hello");
    assert_eq!(resumed.next().await, all.next().await);
    server.stop().await;
}

#[tokio::test]
async fn a_position_of_another_journal_is_answered_with_a_line_that_says_so() {
    let server = Server::start().await;
    let mut stale = open(&server, "/api/events?after=jold-7").await;
    assert_eq!(stale.next().await.expect("hello")["resumed"], false);
    let reset = stale.next().await.expect("a line");
    assert_eq!(reset["control"], "reset");
    assert_eq!(reset["reason"], "foreign_journal");
    assert_eq!(reset["position"], reset["head"]);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_says_farewell_with_a_time_to_come_back() {
    let server = Server::start().await;
    let mut stream = open(&server, "/api/events").await;
    stream.next().await.expect("hello");
    server.stop().await;
    let rest = stream.rest().await;
    let last = rest.last().expect("a last line");
    assert_eq!(last["control"], "farewell");
    assert!(last["retry_ms"].as_u64() >= Some(500), "{last}");
}

#[tokio::test]
async fn the_log_of_a_deploy_comes_in_lines_to_its_end() {
    let bench = bench().await;
    bench.project("lines", |_| {}).await;
    let id = bench.start("lines").await;
    let path = format!("/api/deploys/{id}/logs");
    for _ in ["while it runs", "afterwards"] {
        let lines = open(&bench.server, &path).await.rest().await;
        let has_logs = lines.iter().any(|line| line["type"] == "deploy_log");
        assert!(has_logs, "{lines:?}");
        assert_eq!(lines.last(), Some(&json!({"control": "end"})));
    }
    bench.server.stop().await;
}

#[tokio::test]
async fn a_form_that_is_not_served_is_answered_with_those_that_are() {
    let server = Server::start().await;
    let ask = async |path: &str, accept: &str| {
        let request = server.http.get(server.url(path)).header("accept", accept);
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let problem: Value = response.json().await.expect("a problem");
        (status, problem["detail"].as_str().expect("text").to_owned())
    };
    let (status, detail) = ask("/api/events?format=xml", "*/*").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        detail.contains("plain, cloudevents, cdevents, ndjson"),
        "{detail}"
    );
    let (status, detail) = ask("/api/events", "application/xml").await;
    assert_eq!(status, StatusCode::NOT_ACCEPTABLE);
    assert!(detail.contains("application/x-ndjson"), "{detail}");
    let (status, detail) = ask("/api/events/1?format=ndjson", "*/*").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        detail.contains("`plain`, `cloudevents` or `cdevents`"),
        "{detail}"
    );
    server.stop().await;
}
