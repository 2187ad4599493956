//! Back to what was before: by itself while a new instance is watched, by hand later.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    bench::{Bench, bench, bench_with},
    image,
    registry::free_port,
    shared::{Shared, WEB},
};

const CRASH: &str = "sleep 2; exit 3";

/// Passes its gate, and ends a little later.
fn crashes(spec: &mut Value) {
    spec["entrypoint"] = json!(["/bin/busybox"]);
    spec["command"] = json!(["sh", "-c", CRASH]);
    spec["health"] = json!({"min_uptime_ms": 100});
    spec["bake_ms"] = json!(60_000);
    // Of this one alone: whoever served before keeps its own.
    spec["restart"] = json!("always");
}

async fn serving(bench: &Bench, project: &str) -> i64 {
    let shown = bench.server.json(&format!("/api/projects/{project}")).await;
    shown["stages"][0]["generation"]
        .as_i64()
        .expect("it serves")
}

#[tokio::test]
async fn what_crashes_while_it_is_watched_is_rolled_back_without_a_pull() {
    let bench = bench().await;
    bench.project("brittle", |_| {}).await;
    assert_eq!(bench.deploy("brittle").await["status"], "succeeded");
    let started = bench.started("brittle-prod-1-0");
    let good = bench.server.json("/api/projects/brittle").await["stages"][0]["spec"].clone();
    bench.update("brittle", crashes).await;
    let deploy = bench.deploy("brittle").await;
    assert_eq!(deploy["status"], "rolled_back", "{deploy}");
    let reason = deploy["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("crash loop"), "{reason}");
    assert!(reason.contains("the old instance serves again"), "{reason}");
    assert_eq!(deploy["failure"]["step"], "bake");
    assert_eq!(bench.running("brittle"), "brittle-prod-1-0");
    assert_ne!(bench.started("brittle-prod-1-0"), started);
    assert_eq!(serving(&bench, "brittle").await, 1);
    let policy = "{{.HostConfig.RestartPolicy.Name}}";
    let policy = ["inspect", "brittle-prod-1-0", "--format", policy];
    assert_eq!(bench.engine.docker(&policy), "unless-stopped");

    bench.update("brittle", |spec| *spec = good).await;
    let deploy = bench.deploy("brittle").await;
    assert_eq!(bench.last_word(&deploy).await["recovered"], true);
    bench.server.stop().await;
}

#[tokio::test]
async fn what_publishes_a_port_by_itself_is_rolled_back_too() {
    let bench = bench().await;
    let ports = json!([{"host": free_port(), "container": 80, "host_ip": "127.0.0.1"}]);
    bench
        .project("held", |spec| {
            spec["ports"] = ports.clone();
            spec["routing"] = json!("stop-first");
        })
        .await;
    assert_eq!(bench.deploy("held").await["status"], "succeeded");
    bench.update("held", crashes).await;
    let deploy = bench.deploy("held").await;
    assert_eq!(deploy["status"], "rolled_back", "{deploy}");
    assert_eq!(bench.running("held"), "held-prod-1-0");
    bench.server.stop().await;
}

#[tokio::test]
async fn the_first_of_all_has_nothing_to_go_back_to_and_says_so_and_holds_no_port() {
    let bench = bench().await;
    let host = free_port();
    let change = |spec: &mut Value| {
        crashes(spec);
        spec["command"] = json!(["sh", "-c", "httpd -p 80; sleep 3; exit 3"]);
        spec["ports"] = json!([{"host": host, "container": 80, "host_ip": "127.0.0.1"}]);
    };
    bench.project("firstborn", change).await;
    let deploy = bench.deploy("firstborn").await;
    assert_eq!(deploy["status"], "failed", "{deploy}");
    let reason = deploy["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("no older instance to go back to"),
        "{reason}"
    );
    assert_eq!(bench.running("firstborn"), "");
    let lane = &bench.server.json("/api/projects/firstborn").await["stages"][0];
    assert!(
        lane["generation"].is_null() && lane["held"].is_null(),
        "{lane}"
    );
    assert!(std::net::TcpListener::bind(("127.0.0.1", host)).is_ok());
    bench.server.stop().await;
}

#[tokio::test]
async fn a_cancel_while_it_is_watched_is_a_rollback_and_the_next_deploy_ends_the_watch() {
    let bench = bench().await;
    bench.project("watched", |_| {}).await;
    assert_eq!(bench.deploy("watched").await["status"], "succeeded");
    bench
        .update("watched", |spec| spec["bake_ms"] = json!(600_000))
        .await;
    let second = bench.start("watched").await;
    bench.reaches(second, "baking").await;
    bench.cancel(second).await;
    let cancelled = bench.ended(second).await;
    assert_eq!(cancelled["status"], "rolled_back", "{cancelled}");
    assert_eq!(bench.running("watched"), "watched-prod-1-0");

    let third = bench.start("watched").await;
    bench.reaches(third, "baking").await;
    bench
        .update("watched", |spec| spec["bake_ms"] = json!(0))
        .await;
    let fourth = bench.start("watched").await;
    assert_eq!(bench.ended(third).await["status"], "succeeded");
    assert_eq!(bench.ended(fourth).await["status"], "succeeded");
    assert_eq!(bench.running("watched"), "watched-prod-4-0");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_rollback_by_hand_brings_image_and_configuration_back_without_a_pull() {
    let shared = Shared::get();
    let image = shared.registry.reference("moving:1");
    let push = |text: &str| {
        image::busybox(&shared.engine, &image, &format!("{WEB} # {text}"));
        shared.engine.docker(&["push", &image]);
    };
    push("first");
    let bench = bench_with(&image).await;
    bench
        .project("undo", |spec| {
            spec["volumes"] = json!([{"source": "undo-data", "target": "/data"}])
        })
        .await;
    let first = bench.deploy("undo").await;
    assert_eq!(first["status"], "succeeded", "{first}");
    // The same name is another image by now, and the configuration another one.
    push("second");
    bench
        .update("undo", |spec| spec["env"][0]["value"] = json!("two"))
        .await;
    let second = bench.deploy("undo").await;
    assert_eq!(second["status"], "succeeded", "{second}");
    assert_ne!(first["image_id"], second["image_id"]);

    let path = "/api/projects/undo/rollback";
    let (status, rollback) = bench.server.post(path, &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{rollback}");
    assert_eq!(rollback["rolls_back_to"], first["id"]);
    let rollback = bench.ended(rollback["id"].as_i64().expect("an id")).await;
    assert_eq!(rollback["status"], "succeeded", "{rollback}");
    assert_eq!(rollback["image_id"], first["image_id"]);
    let warnings = rollback["plan"]["warnings"].to_string();
    assert!(
        warnings.contains("not rolled back") && warnings.contains("undo-data"),
        "{warnings}"
    );
    let log = bench.log(&rollback["id"]).await;
    assert!(!log.contains("pulling"), "{log}");
    let running = bench
        .engine
        .docker(&["inspect", "undo-prod-3-0", "--format", "{{.Image}}"]);
    assert_eq!(first["image_id"], running);
    let project = bench.server.json("/api/projects/undo").await;
    assert_eq!(project["stages"][0]["spec"]["env"][0]["value"], "one");

    let refused = json!({"to": 99_999});
    assert_eq!(
        bench.server.post(path, &refused).await.0,
        StatusCode::CONFLICT
    );
    bench.server.stop().await;
}
