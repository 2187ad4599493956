//! CloudEvents, read by the official SDK.

use std::collections::BTreeSet;

use reqwest::Response;
use serde_json::{Value, json};
use tiny_forge::{api::format::CloudEvent, model::EventType};

use super::samples::{self, JOURNAL};
use crate::support::{python, server::Server, sse::Sse};

/// Enough for more than one page of two.
async fn server_with_history() -> Server {
    let server = Server::start().await;
    for name in ["one", "two", "three"] {
        let project = json!({"name": name, "spec": {"image": "app:1"}});
        let (status, answer) = server.post("/api/projects", &project).await;
        assert_eq!(status, 201, "{answer}");
    }
    server
}

async fn get(server: &Server, path: &str, accept: &str) -> Response {
    let request = server.http.get(server.url(path)).header("accept", accept);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200, "{path}");
    response
}

#[tokio::test]
async fn the_official_sdk_reads_a_page_a_stream_and_one_event_and_those_of_every_type() {
    let server = server_with_history().await;
    let one = get(&server, "/api/events/1", "application/cloudevents+json").await;
    assert_eq!(
        one.headers()["content-type"],
        "application/cloudevents+json"
    );
    let one = one.text().await.expect("text");
    let pages = pages(&server).await;
    let history = ids(&pages
        .iter()
        .flat_map(|page| parse(page))
        .collect::<Vec<_>>());
    let streamed = streamed(&server, history.len()).await;
    assert_eq!(ids(&streamed), history, "pages and stream tell the same");

    let of_each_type = EventType::ALL.map(|kind| {
        let frame = samples::frame(&samples::event(kind));
        CloudEvent::new(JOURNAL, frame.json()).expect("readable")
    });
    let told =
        json!({"one": one, "pages": pages, "stream": streamed, "of_each_type": of_each_type});
    let read = python::run("tests/it/formats/check_cloud_events.py", &told).await;
    let expected = json!({
        "one": 1,
        "pages": history.len(),
        "stream": history.len(),
        "of_each_type": EventType::ALL.len(),
    });
    assert_eq!(read, expected, "the SDK has read all of them");
    server.stop().await;
}

/// Page after page, as `Link` leads.
async fn pages(server: &Server) -> Vec<String> {
    let mut pages = Vec::new();
    let mut next = Some("/api/events?limit=2".to_owned());
    while let Some(path) = next {
        let page = get(server, &path, "application/cloudevents-batch+json").await;
        let headers = page.headers();
        assert_eq!(
            headers["content-type"],
            "application/cloudevents-batch+json"
        );
        next = headers.get("link").map(|link| {
            let link = link.to_str().expect("text");
            let target = link
                .strip_prefix('<')
                .and_then(|link| link.strip_suffix(">; rel=\"next\""));
            target.expect("a link to the next page").to_owned()
        });
        pages.push(page.text().await.expect("text"));
    }
    assert!(pages.len() > 1, "there is more than a page");
    pages
}

async fn streamed(server: &Server, count: usize) -> Vec<Value> {
    let url = server.url("/api/events?after=0&format=cloudevents");
    let mut stream = Sse::open(&server.http, &url, None).await;
    let mut events = Vec::new();
    while events.len() < count {
        let event = stream.event().await.expect("an event");
        assert_eq!(event["id"], stream.last_id, "a client resumes with its id");
        events.push(event);
    }
    events
}

fn parse(page: &str) -> Vec<Value> {
    serde_json::from_str(page).expect("a list")
}

fn ids(events: &[Value]) -> BTreeSet<String> {
    let ids = events
        .iter()
        .map(|event| event["id"].as_str().expect("an id"));
    ids.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_stream_of_cloud_events_resumes_by_their_ids() {
    let server = server_with_history().await;
    let batch = get(
        &server,
        "/api/events?format=cloudevents",
        "application/json",
    )
    .await;
    let events = parse(&batch.text().await.expect("text"));
    let [first, second, ..] = &events[..] else {
        panic!("too few: {events:?}");
    };
    let url = server.url("/api/events?format=cloudevents");
    let mut resumed = Sse::open(&server.http, &url, first["id"].as_str()).await;
    assert_eq!(resumed.event().await.as_ref(), Some(second));
    server.stop().await;
}

#[tokio::test]
async fn a_link_to_older_events_keeps_what_was_asked_for() {
    let server = server_with_history().await;
    let path = "/api/events?order=desc&limit=2&type=project_status&format=cloudevents";
    let page = get(&server, path, "application/json").await;
    let link = page.headers()["link"].to_str().expect("text").to_owned();
    for kept in [
        "order=desc",
        "limit=2",
        "type=project_status",
        "format=cloudevents",
        "before=",
    ] {
        assert!(link.contains(kept), "{kept}: {link}");
    }
    server.stop().await;
}
