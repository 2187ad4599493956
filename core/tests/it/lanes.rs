//! One deploy at a time per lane, through cancels and restarts.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    bench::{Bench, bench},
    registry::free_port,
    wait,
};

#[tokio::test]
async fn a_lane_runs_one_deploy_at_a_time_and_each_can_be_cancelled() {
    let bench = bench().await;
    bench
        .project("queued", |spec| {
            spec["health"] = json!({"min_uptime_ms": 600_000})
        })
        .await;
    let first = bench.start("queued").await;
    bench.reaches(first, "gating").await;
    let second = bench.start("queued").await;
    let waiting = bench.server.json(&format!("/api/deploys/{second}")).await;
    assert_eq!(waiting["status"], "queued");
    assert_eq!(
        bench.server.json("/api/projects/queued").await["stages"][0]["queued"],
        1
    );

    for id in [second, first] {
        bench.cancel(id).await;
        assert_eq!(bench.ended(id).await["status"], "cancelled");
    }
    assert_eq!(bench.running("queued"), "", "the candidate is put away");
    let again = bench
        .server
        .post(&format!("/api/deploys/{first}/cancel"), &json!({}))
        .await;
    assert_eq!(again.0, StatusCode::CONFLICT);
    bench.server.stop().await;
}

#[tokio::test]
async fn a_deploy_that_a_restart_interrupts_goes_on_where_it_was_and_then_the_queue() {
    let bench = bench().await;
    bench
        .project("slow", |spec| {
            spec["health"] = json!({"min_uptime_ms": 3_000})
        })
        .await;
    let first = bench.start("slow").await;
    bench.reaches(first, "gating").await;
    bench
        .update("slow", |spec| {
            spec["health"] = json!({"http": {"port": 80}})
        })
        .await;
    let second = bench.start("slow").await;
    let started = bench.started("slow-prod-1-0");
    let server = bench.server.restart().await;
    let bench = Bench { server, ..bench };
    let interrupted = bench.ended(first).await;
    assert_eq!(interrupted["status"], "succeeded", "{interrupted}");
    assert_eq!(bench.started("slow-prod-1-0"), started, "it was let run");
    let log = bench.log(&interrupted["id"]).await;
    assert!(
        log.contains("was in step `gate`, and goes on there"),
        "{log}"
    );
    assert_eq!(log.matches("hello from one").count(), 1, "{log}");
    assert_eq!(bench.ended(second).await["status"], "succeeded");
    assert_eq!(bench.running("slow"), "slow-prod-2-0");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_cancel_after_a_restart_in_the_middle_brings_the_old_back() {
    let bench = bench().await;
    let ports = json!([{"host": free_port(), "container": 80, "host_ip": "127.0.0.1"}]);
    bench
        .project("swap", |spec| {
            spec["ports"] = ports.clone();
            spec["routing"] = json!("stop-first");
        })
        .await;
    assert_eq!(bench.deploy("swap").await["status"], "succeeded");
    bench
        .update("swap", |spec| {
            spec["health"] = json!({"min_uptime_ms": 600_000})
        })
        .await;
    let id = bench.start("swap").await;
    bench.reaches(id, "gating").await;
    assert_eq!(bench.running("swap"), "swap-prod-2-0");
    let server = bench.server.restart().await;
    let bench = Bench { server, ..bench };
    bench.cancel(id).await;
    let deploy = bench.ended(id).await;
    assert_eq!(deploy["status"], "cancelled", "{deploy}");
    assert_eq!(bench.running("swap"), "swap-prod-1-0");
    let lane = &bench.server.json("/api/projects/swap").await["stages"][0];
    assert_eq!(lane["generation"], 1);
    bench.server.stop().await;
}

#[tokio::test]
async fn the_same_wish_twice_is_one_deploy_and_another_is_refused_or_takes_its_place() {
    let bench = bench().await;
    bench
        .project("wishes", |spec| {
            spec["health"] = json!({"min_uptime_ms": 600_000})
        })
        .await;
    let first = bench.start("wishes").await;
    bench.reaches(first, "gating").await;
    let second = bench.start("wishes").await;
    assert_eq!(bench.start("wishes").await, second, "it waits already");

    let path = "/api/projects/wishes/deploys";
    let (status, refused) = bench.server.post(path, &json!({"if_busy": "reject"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(&format!("deploy `{first}`")), "{refused}");

    bench
        .update("wishes", |spec| {
            spec["health"] = json!({"http": {"port": 80}})
        })
        .await;
    let (status, third) = bench
        .server
        .post(path, &json!({"if_busy": "supersede"}))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED, "{third}");
    for id in [first, second] {
        let ended = bench.ended(id).await;
        assert_eq!(ended["status"], "cancelled");
        assert_eq!(ended["reason"], "superseded by a newer deploy");
    }
    let third = bench.ended(third["id"].as_i64().expect("an id")).await;
    assert_eq!(third["status"], "succeeded", "{third}");
    assert_eq!(bench.running("wishes"), "wishes-prod-3-0");
    bench.server.stop().await;
}

#[tokio::test]
async fn an_instance_that_a_hand_has_stopped_does_not_come_back_beside_its_successor() {
    let bench = bench().await;
    bench
        .project("halted", |spec| spec["restart"] = json!("always"))
        .await;
    assert_eq!(bench.deploy("halted").await["status"], "succeeded");
    assert_eq!(bench.restart_policy("halted-prod-1-0"), "always");
    bench.engine.docker(&["stop", "halted-prod-1-0"]);
    let noticed = wait::answer(async || {
        // A deploy may end before the watcher knows its instance.
        let instances = bench.server.json("/api/instances").await;
        let mut instances = instances["items"].as_array()?.iter();
        let halted = instances.find(|it| it["name"] == "halted-prod-1-0")?;
        (halted["status"] == "exited").then_some(())
    });
    noticed.await.expect("its end is noticed");
    assert_eq!(bench.deploy("halted").await["status"], "succeeded");
    assert_eq!(bench.restart_policy("halted-prod-1-0"), "no");
    assert_eq!(bench.restart_policy("halted-prod-2-0"), "always");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_project_is_forgotten_with_its_containers_only_if_that_is_said() {
    let bench = bench().await;
    bench.project("brief", |_| {}).await;
    assert_eq!(bench.deploy("brief").await["status"], "succeeded");
    let server = &bench.server;
    let mut events = server
        .sse("/api/events?instance=brief-prod-1-0&after=0")
        .await;
    events
        .until(|event| event["payload"]["reason"] == "started")
        .await;
    let delete = async |path| server.send(Method::DELETE, path, &json!({})).await;
    let (status, problem) = delete("/api/projects/brief").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        problem["detail"].to_string().contains("?stop=true"),
        "{problem}"
    );
    assert_eq!(bench.running("brief"), "brief-prod-1-0");

    assert!(delete("/api/projects/brief?stop=true").await.0.is_success());
    assert_eq!(bench.running("brief"), "");
    let removed = events
        .until(|event| event["payload"]["reason"] == "removed")
        .await;
    assert_eq!(removed["payload"]["planned"], true);
    assert_eq!(delete("/api/projects/brief").await.0, StatusCode::NOT_FOUND);
    bench.server.stop().await;
}
