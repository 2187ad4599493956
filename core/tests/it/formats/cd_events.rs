//! CDEvents, read by the SDK of those who define them.

use cdevents_sdk::{CDEvent, Content};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tiny_forge::{api::format::PageFormat, model::EventType};

use super::samples::{self, JOURNAL};
use crate::support::{
    bench::{Bench, bench},
    server::Server,
    sse::Sse,
};

const BATCH: &str = "application/cloudevents-batch+json";

async fn page(server: &Server, path: &str) -> Vec<Value> {
    let request = server.get(path).header("accept", BATCH);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], BATCH);
    response.json().await.expect("a list")
}

async fn refused(server: &Server, path: &str) -> (StatusCode, String) {
    let response = server.get(path).send().await.expect("an answer");
    let status = response.status();
    let problem: Value = response.json().await.expect("a problem");
    (status, problem["detail"].as_str().expect("text").to_owned())
}

/// The content of its subject, after everything that the binding asks for.
fn content(event: &Value) -> Content {
    let data = &event["data"];
    let read: CDEvent = serde_json::from_value(data.clone()).expect("a CDEvent");
    assert_eq!(event["specversion"], "1.0");
    for (attribute, of_data) in [
        ("id", &data["context"]["id"]),
        ("source", &data["context"]["source"]),
        ("type", &data["context"]["type"]),
        ("time", &data["context"]["timestamp"]),
        ("subject", &data["subject"]["id"]),
    ] {
        assert_eq!(event[attribute], *of_data, "{attribute}");
    }
    let again = serde_json::to_value(&read).expect("JSON");
    assert_eq!(again["subject"], data["subject"], "nothing is overlooked");
    read.subject().content().clone()
}

/// Deployed, deployed again, a failure, rolled back.
async fn history(bench: &Bench) {
    bench.project("cd-events", |_| {}).await;
    for _ in 0..2 {
        assert_eq!(bench.deploy("cd-events").await["status"], "succeeded");
    }
    let good = bench.server.json("/api/projects/cd-events").await["stages"][0]["spec"].clone();
    bench
        .update("cd-events", |spec| spec["command"] = json!(["false"]))
        .await;
    assert_eq!(bench.deploy("cd-events").await["status"], "failed");
    bench.update("cd-events", |spec| *spec = good).await;
    let (status, rollback) = bench
        .server
        .post("/api/projects/cd-events/rollback", &json!({}))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED, "{rollback}");
    bench.ended(rollback["id"].as_i64().expect("an id")).await;
}

#[tokio::test]
async fn what_deploys_did_to_a_service_is_told_in_the_words_of_cd_events() {
    let bench = bench().await;
    history(&bench).await;
    let server = &bench.server;
    let told = page(server, "/api/events?format=cdevents&limit=500").await;
    let subjects: Vec<Content> = told.iter().map(content).collect();
    let [
        Content::ServiceDeployed030(_),
        Content::ServiceUpgraded030(_),
        Content::ServiceRolledback030(rolled_back),
    ] = &subjects[..]
    else {
        panic!("{subjects:?}");
    };
    assert_eq!(rolled_back.environment.id.as_str(), "prod");
    let deploy = server.json("/api/deploys/1").await;
    let digest = deploy["digest"].as_str().expect("from a registry");
    let artifact = rolled_back.artifact_id.as_str();
    assert!(
        artifact.starts_with(&format!("pkg:oci/web@{digest}?")),
        "{artifact}"
    );
    assert_eq!(told[1]["data"]["customData"]["replaces"], 1);

    let url = server.url("/api/events?format=cdevents&after=0");
    let mut stream = Sse::open(&server.http, &url, None).await;
    for event in &told {
        assert_eq!(stream.event().await.as_ref(), Some(event));
    }
    let path = format!("/api/events/{}?format=cdevents", deploy["last_event"]);
    assert_eq!(server.json(&path).await, told[0]);
    bench.server.stop().await;
}

#[tokio::test]
async fn what_they_have_no_word_for_is_said_and_not_sent() {
    let server = Server::start().await;
    let told = page(&server, "/api/events?format=cdevents").await;
    assert!(told.is_empty(), "{told:?}");
    let (status, detail) = refused(&server, "/api/events/1?format=cdevents").await;
    assert_eq!(status, StatusCode::NOT_ACCEPTABLE);
    assert!(detail.contains("deploys that have succeeded"), "{detail}");
    for parameter in ["type=audit", "logs=1", "instance=web", "severity=warning"] {
        let path = format!("/api/events?format=cdevents&{parameter}");
        let (status, detail) = refused(&server, &path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(detail.contains("choose by `project`"), "{detail}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_filter_that_is_changed_is_of_deploys_all_the_same() {
    let server = Server::start().await;
    let url = server.url("/api/events?format=cdevents");
    let stream = Sse::open(&server.http, &url, None).await;
    let id = stream.hello["subscription"].as_str().expect("an id");
    let wanted = json!({"type": ["audit"], "project": ["shop"]});
    let (status, changed) = server
        .post(&format!("/api/subscriptions/{id}"), &wanted)
        .await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    let expected = json!({"type": ["deploy_status"], "project": ["shop"], "severity": "info"});
    assert_eq!(changed["filter"], expected);
    assert_eq!(server.subscriptions().await[0]["filter"], expected);
    server.stop().await;
}

#[tokio::test]
async fn an_image_that_has_another_name_here_has_no_digest_of_that() {
    let bench = bench().await;
    bench.engine.docker(&["pull", &bench.web]);
    bench.engine.docker(&["tag", &bench.web, "renamed:here"]);
    let renamed = |spec: &mut Value| {
        spec["image"] = json!("renamed:here");
        spec["pull"] = json!("never");
    };
    bench.project("cd-alias", renamed).await;
    assert_eq!(bench.deploy("cd-alias").await["digest"], Value::Null);
    let told = page(
        &bench.server,
        "/api/events?format=cdevents&project=cd-alias",
    )
    .await;
    let artifact = &told[0]["data"]["subject"]["content"]["artifactId"];
    assert_eq!(artifact, "pkg:docker/renamed@here");
    bench.server.stop().await;
}

#[test]
fn none_but_a_deploy_that_has_succeeded_is_one() {
    for kind in EventType::ALL {
        let frame = samples::frame(&samples::event(kind));
        let event = PageFormat::CdEvents.cloud_event(JOURNAL, frame.json());
        assert!(event.expect("readable").is_none(), "{kind:?}");
    }
    for (predicate, event) in samples::successes() {
        let frame = samples::frame(&event);
        let event = PageFormat::CdEvents.cloud_event(JOURNAL, frame.json());
        let event = serde_json::to_value(event.expect("readable")).expect("JSON");
        content(&event);
        let kind = event["type"].as_str().expect("text");
        assert!(kind.contains(predicate), "{kind}");
    }
}
