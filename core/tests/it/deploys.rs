//! Deploys on a real engine, from a real registry.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{
    bench::{bench, bench_with},
    server::Server,
    shared::{Shared, WEB},
};

#[tokio::test]
async fn a_deploy_from_a_registry_says_each_step_and_ends_healthy() {
    // Of its own, so that its layer has to be pulled.
    let Shared {
        engine, registry, ..
    } = Shared::get();
    let image = registry.push_busybox(engine, "fresh:1", &format!("{WEB} # fresh"));
    let bench = bench_with(&image).await;
    bench.project("fresh", |_| {}).await;
    let deploy = bench.deploy("fresh").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert_eq!(deploy["strategy"], "start-first");
    assert!(
        deploy["digest"]
            .as_str()
            .is_some_and(|digest| digest.starts_with("sha256:"))
    );
    let steps = deploy["steps"].as_array().expect("steps");
    let names: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "plan", "pull", "create", "start", "gate", "replace", "retire"
        ]
    );
    for step in steps {
        assert_eq!(step["status"], "succeeded", "{step}");
        assert!(step["duration_ms"].is_u64(), "{step}");
    }
    assert!(bench.log(&deploy["id"]).await.contains("hello from one"));
    let path = format!("/api/events?deploy={}&type=deploy_status", deploy["id"]);
    let events = bench.server.json(&path).await;
    let progress = events["items"].as_array().expect("items").iter();
    let bytes = progress.filter_map(|event| event["payload"]["progress"]["total_bytes"].as_u64());
    assert!(bytes.max() > Some(0), "the pull told its bytes");
    let project = bench.server.json("/api/projects/fresh").await;
    assert_eq!(project["stages"][0]["generation"], 1);
    assert_eq!(bench.running("fresh"), "fresh-prod-1-0");
    let policy = bench.engine.docker(&[
        "inspect",
        "fresh-prod-1-0",
        "--format",
        "{{.HostConfig.RestartPolicy.Name}}",
    ]);
    assert_eq!(policy, "unless-stopped", "it is promoted once it serves");
    bench.server.stop().await;
}

#[tokio::test]
async fn one_stream_carries_the_logs_of_a_deploy_besides_what_it_is_filtered_to() {
    let bench = bench().await;
    bench.project("tail", |_| {}).await;
    let id = bench.start("tail").await;
    let path = format!("/api/events?type=instance_status&instance=tail-prod-1-0&logs={id}&after=0");
    let mut live = bench.server.sse(&path).await;
    live.until(|event| event["payload"]["line"] == "hello from one")
        .await;
    bench.ended(id).await;
    let mut seen = Vec::new();
    let mut replayed = bench.server.sse(&path).await;
    let started = replayed
        .until(|event| {
            seen.push(event["type"].clone());
            event["payload"]["line"] == "hello from one"
        })
        .await;
    assert_eq!(started["payload"]["deploy_id"], id);
    assert!(
        seen.iter()
            .all(|kind| ["instance_status", "deploy_log"].contains(&kind.as_str().unwrap_or(""))),
        "{seen:?}"
    );
    bench.server.stop().await;
}

#[tokio::test]
async fn a_secret_reaches_the_container_and_nothing_else() {
    const CANARY: &str = "canary-4f1c-secret";
    let bench = bench().await;
    bench
        .project("vault", |spec| {
            spec["env"] = json!([{"name": "WORD", "value": CANARY, "secret": true}]);
            spec["health"] = json!({"http": {"port": 80}});
        })
        .await;
    let deploy = bench.deploy("vault").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    let inside = bench
        .engine
        .docker(&["exec", "vault-prod-1-0", "cat", "/www/index.html"]);
    assert_eq!(inside, CANARY, "the container has it");
    let log = bench.log(&deploy["id"]).await;
    assert!(log.contains("hello from (secret)"), "{log}");
    for path in [
        "/api/projects/vault",
        "/api/instances",
        "/api/events?type=deploy_log,deploy_status,instance_status,project_status&limit=500",
    ] {
        assert!(
            !bench.server.json(path).await.to_string().contains(CANARY),
            "{path}"
        );
    }
    // A PUT without its value keeps it.
    bench.update("vault", |_| {}).await;
    assert_eq!(bench.deploy("vault").await["status"], "succeeded");
    let data = bench.server.dir.path().join("data");
    for name in ["tiny-forge.db", "tiny-forge.db-wal"] {
        let bytes = std::fs::read(data.join(name)).expect("the database");
        let found = bytes
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes());
        assert!(!found, "{name} holds the secret in clear");
    }
    bench.server.stop().await;
}

#[tokio::test]
async fn a_specification_that_cannot_work_is_refused_field_by_field() {
    let server = Server::start().await;
    let spec = json!({"image": "", "ports": [{"container": 80, "host": 1}, {"container": 81, "host": 1}],
        "env": [{"name": "A"}], "labels": {"tiny-forge.x": "y"}});
    let (status, problem) = server
        .post("/api/projects", &json!({"name": "bad", "spec": spec}))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<&str> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "/spec/image",
            "/spec/env/0/value",
            "/spec/ports/1/host",
            "/spec/labels/tiny-forge.x"
        ]
    );
    let (status, problem) = server
        .post(
            "/api/projects",
            &json!({"name": "Bad Name", "spec": {"image": "a"}}),
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("Bad Name"))
    );
    server.stop().await;
}
