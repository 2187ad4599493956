//! One deploy at a time per lane, through cancels and restarts.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    bench::{Bench, bench},
    registry::free_port,
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
    let second = bench.start("queued").await;
    let mut log = bench
        .server
        .sse(&format!("/api/deploys/{first}/logs"))
        .await;
    log.until(|event| event["payload"]["status"] == "gating")
        .await;
    let waiting = bench.server.json(&format!("/api/deploys/{second}")).await;
    assert_eq!(waiting["status"], "queued");
    assert_eq!(
        bench.server.json("/api/projects/queued").await["stages"][0]["queued"],
        1
    );

    for id in [second, first] {
        let (status, answer) = bench
            .server
            .post(&format!("/api/deploys/{id}/cancel"), &json!({}))
            .await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
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
async fn a_deploy_that_a_restart_interrupts_ends_truthfully_and_the_queue_goes_on() {
    let bench = bench().await;
    bench
        .project("slow", |spec| {
            spec["health"] = json!({"min_uptime_ms": 600_000})
        })
        .await;
    let first = bench.start("slow").await;
    let mut log = bench
        .server
        .sse(&format!("/api/deploys/{first}/logs"))
        .await;
    log.until(|event| event["payload"]["status"] == "gating")
        .await;
    bench
        .update("slow", |spec| {
            spec["health"] = json!({"http": {"port": 80}})
        })
        .await;
    let second = bench.start("slow").await;
    let server = bench.server.restart().await;
    let bench = Bench { server, ..bench };
    let interrupted = bench.ended(first).await;
    assert_eq!(interrupted["status"], "failed");
    let reason = interrupted["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("the server stopped") && reason.contains("`gate`"),
        "{reason}"
    );
    assert_eq!(bench.ended(second).await["status"], "succeeded");
    assert_eq!(bench.running("slow"), "slow-prod-2-0");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_restart_between_the_stop_of_the_old_and_the_new_brings_the_old_back() {
    let bench = bench().await;
    let ports = json!([{"host": free_port(), "container": 80, "host_ip": "127.0.0.1"}]);
    bench
        .project("swap", |spec| spec["ports"] = ports.clone())
        .await;
    assert_eq!(bench.deploy("swap").await["status"], "succeeded");
    bench
        .update("swap", |spec| {
            spec["health"] = json!({"min_uptime_ms": 600_000})
        })
        .await;
    let id = bench.start("swap").await;
    let mut log = bench.server.sse(&format!("/api/deploys/{id}/logs")).await;
    log.until(|event| event["payload"]["status"] == "gating")
        .await;
    assert_eq!(bench.running("swap"), "swap-prod-2-0");
    let server = bench.server.restart().await;
    let bench = Bench { server, ..bench };
    let deploy = bench.ended(id).await;
    assert_eq!(deploy["status"], "failed");
    let reason = deploy["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("the old instance was started again"),
        "{reason}"
    );
    assert_eq!(bench.running("swap"), "swap-prod-1-0");
    let lane = &bench.server.json("/api/projects/swap").await["stages"][0];
    assert_eq!(lane["generation"], 1);
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
