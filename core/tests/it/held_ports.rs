//! Ports that the data plane holds while instances behind them are replaced.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    bench::{Bench, bench},
    registry::free_port,
    wait,
};

fn port(host: u16) -> Value {
    json!([{"host": host, "container": 80, "host_ip": "127.0.0.1"}])
}

async fn said(port: u16) -> Option<String> {
    let url = format!("http://127.0.0.1:{port}/");
    let answer = reqwest::get(url).await.ok()?;
    Some(answer.text().await.ok()?.trim().to_owned())
}

/// A connection that is in the middle of something, which is no HTTP.
pub async fn unfinished(port: u16) -> TcpStream {
    let open = TcpStream::connect(("127.0.0.1", port)).await;
    let mut open = open.expect("a connection");
    open.write_all(&[0x16, 3, 1]).await.expect("sent");
    open
}

async fn word(bench: &Bench, project: &str, word: &str) {
    let change = |spec: &mut Value| spec["env"][0]["value"] = json!(word);
    bench.update(project, change).await;
}

#[tokio::test]
async fn a_held_port_leads_from_one_instance_to_the_next_and_goes_with_the_project() {
    let bench = bench().await;
    let host = free_port();
    bench
        .project("hold", |spec| spec["ports"] = port(host))
        .await;
    let deploy = bench.deploy("hold").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert_eq!(deploy["strategy"], "port-hold");
    assert_eq!(said(host).await.as_deref(), Some("one"));
    let held = async || {
        let project = bench.server.json("/api/projects/hold").await;
        project["stages"][0]["held"]["ports"][0]["host"].clone()
    };
    assert_eq!(held().await, host);

    word(&bench, "hold", "two").await;
    let deploy = bench.deploy("hold").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert_eq!(deploy["plan"]["downtime"], false);
    let steps = deploy["steps"].as_array().expect("steps").iter();
    let drained = steps.filter(|step| step["name"] == "drain");
    assert_eq!(drained.count(), 1, "{deploy}");
    assert_eq!(said(host).await.as_deref(), Some("two"));
    assert_eq!(bench.running("hold"), "hold-prod-2-0");

    // Its number changes: the new one is held, the old one given up.
    let moved = free_port();
    bench
        .update("hold", |spec| spec["ports"] = port(moved))
        .await;
    assert_eq!(held().await, host, "until it is deployed");
    assert_eq!(bench.deploy("hold").await["status"], "succeeded");
    assert_eq!(said(moved).await.as_deref(), Some("two"));
    assert_eq!(said(host).await, None);
    assert_eq!(held().await, moved);

    let path = "/api/projects/hold?stop=true";
    let (status, _) = bench.server.send(Method::DELETE, path, &json!({})).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(said(moved).await, None);
    bench.server.stop().await;
}

#[tokio::test]
async fn a_lane_goes_over_to_a_held_port_and_back_with_a_gap_that_is_said() {
    let bench = bench().await;
    let host = free_port();
    let routing = |routing| move |spec: &mut Value| spec["routing"] = json!(routing);
    bench
        .project("convert", |spec| {
            spec["ports"] = port(host);
            spec["routing"] = json!("stop-first");
        })
        .await;
    assert_eq!(bench.deploy("convert").await["status"], "succeeded");
    for (way, strategy) in [
        ("port-hold", "stop-first"),
        ("port-hold", "port-hold"),
        ("stop-first", "stop-first"),
    ] {
        bench.update("convert", routing(way)).await;
        let deploy = bench.deploy("convert").await;
        assert_eq!(deploy["status"], "succeeded", "{deploy}");
        assert_eq!(deploy["strategy"], strategy, "{deploy}");
        assert_eq!(deploy["plan"]["downtime"], strategy == "stop-first");
        assert_eq!(said(host).await.as_deref(), Some("one"));
    }
    // A way over that fails gives the port back.
    bench
        .update("convert", |spec| {
            spec["routing"] = json!("port-hold");
            spec["command"] = json!(["sh", "-c", "exit 7"]);
        })
        .await;
    assert_eq!(bench.deploy("convert").await["status"], "failed");
    assert_eq!(said(host).await.as_deref(), Some("one"));
    bench.server.stop().await;
}

#[tokio::test]
async fn what_does_not_last_behind_a_held_port_is_rolled_back() {
    let bench = bench().await;
    let host = free_port();
    bench
        .project("relapse", |spec| spec["ports"] = port(host))
        .await;
    assert_eq!(bench.deploy("relapse").await["status"], "succeeded");
    bench
        .update("relapse", |spec| {
            spec["entrypoint"] = json!(["/bin/busybox"]);
            spec["command"] = json!(["sh", "-c", "httpd -p 80 -h /; sleep 3; exit 3"]);
            spec["health"] = json!({"min_uptime_ms": 100});
            spec["bake_ms"] = json!(60_000);
        })
        .await;
    let deploy = bench.deploy("relapse").await;
    assert_eq!(deploy["status"], "rolled_back", "{deploy}");
    assert_eq!(bench.running("relapse"), "relapse-prod-1-0");
    assert_eq!(said(host).await.as_deref(), Some("one"));
    bench.server.stop().await;
}

#[tokio::test]
async fn a_cancel_while_the_old_instance_is_drained_leads_back_to_it() {
    let bench = bench().await;
    let host = free_port();
    bench
        .project("regret", |spec| {
            spec["ports"] = port(host);
            spec["drain_ms"] = json!(600_000);
        })
        .await;
    assert_eq!(bench.deploy("regret").await["status"], "succeeded");
    let open = unfinished(host).await;
    word(&bench, "regret", "two").await;
    let id = bench.start("regret").await;
    bench.reaches(id, "draining").await;
    assert_eq!(said(host).await.as_deref(), Some("two"));
    bench.cancel(id).await;
    drop(open);
    let deploy = bench.ended(id).await;
    assert_eq!(deploy["status"], "rolled_back", "{deploy}");
    assert_eq!(said(host).await.as_deref(), Some("one"));
    assert_eq!(bench.running("regret"), "regret-prod-1-0");
    bench.server.stop().await;
}

#[tokio::test]
async fn what_dies_while_the_old_instance_is_drained_is_rolled_back_at_once() {
    let bench = bench().await;
    let host = free_port();
    bench
        .project("faint", |spec| {
            spec["ports"] = port(host);
            spec["drain_ms"] = json!(600_000);
        })
        .await;
    assert_eq!(bench.deploy("faint").await["status"], "succeeded");
    let _open = unfinished(host).await;
    word(&bench, "faint", "two").await;
    let id = bench.start("faint").await;
    bench.reaches(id, "draining").await;
    bench.engine.docker(&["kill", "faint-prod-2-0"]);
    let deploy = bench.ended(id).await;
    assert_eq!(deploy["status"], "rolled_back", "{deploy}");
    assert_eq!(deploy["failure"]["step"], "drain");
    assert_eq!(said(host).await.as_deref(), Some("one"));
    bench.server.stop().await;
}

#[tokio::test]
async fn a_port_on_which_only_the_old_instance_listens_leads_to_it_still() {
    let bench = bench().await;
    let host = free_port();
    bench
        .project("typo", |spec| spec["ports"] = port(host))
        .await;
    assert_eq!(bench.deploy("typo").await["status"], "succeeded");
    bench
        .update("typo", |spec| spec["ports"][0]["container"] = json!(81))
        .await;
    let deploy = bench.deploy("typo").await;
    assert_eq!(deploy["status"], "failed", "{deploy}");
    let reason = deploy["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("port 81"), "{reason}");
    assert_eq!(said(host).await.as_deref(), Some("one"));
    assert_eq!(bench.running("typo"), "typo-prod-1-0");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_held_port_goes_from_one_address_of_the_host_to_all_and_back() {
    let bench = bench().await;
    let host = free_port();
    bench
        .project("spread", |spec| spec["ports"] = port(host))
        .await;
    assert_eq!(bench.deploy("spread").await["status"], "succeeded");
    for ip in [Value::Null, json!("127.0.0.1")] {
        bench
            .update("spread", |spec| spec["ports"][0]["host_ip"] = ip)
            .await;
        let deploy = bench.deploy("spread").await;
        assert_eq!(deploy["status"], "succeeded", "{deploy}");
        assert_eq!(said(host).await.as_deref(), Some("one"));
    }
    bench.server.stop().await;
}

#[tokio::test]
async fn a_port_that_is_held_for_another_lane_is_refused_before_anything_is_pulled() {
    let bench = bench().await;
    let host = free_port();
    for name in ["first", "second"] {
        bench.project(name, |spec| spec["ports"] = port(host)).await;
    }
    assert_eq!(bench.deploy("first").await["status"], "succeeded");
    let path = "/api/projects/second/deploys?dry_run=true";
    let (_, preview) = bench.server.post(path, &json!({})).await;
    let warnings = preview["plan"]["warnings"].to_string();
    assert!(warnings.contains("held for `first/prod`"), "{warnings}");
    let deploy = bench.deploy("second").await;
    assert_eq!(deploy["status"], "failed", "{deploy}");
    assert_eq!(deploy["failure"]["step"], "plan");
    let reason = deploy["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&format!("port {host}")), "{reason}");
    assert!(reason.contains("held for `first/prod`"), "{reason}");
    // Nor does one get it that would publish it by itself.
    bench
        .update("second", |spec| spec["routing"] = json!("stop-first"))
        .await;
    let deploy = bench.deploy("second").await;
    assert_eq!(deploy["failure"]["step"], "plan", "{deploy}");
    assert_eq!(said(host).await.as_deref(), Some("one"));
    bench.server.stop().await;
}

#[tokio::test]
async fn held_ports_outlive_the_server_and_are_held_again_when_their_process_dies() {
    let bench = bench().await;
    let host = free_port();
    bench
        .project("outlive", |spec| spec["ports"] = port(host))
        .await;
    assert_eq!(bench.deploy("outlive").await["status"], "succeeded");
    let Bench { server, .. } = bench;
    let server = server.restart().await;
    assert_eq!(said(host).await.as_deref(), Some("one"));
    let data = server.dir.path().join("data");
    let client = tiny_forge_proxy::Client::new(&data.join("proxy"));
    let hello = client.hello().await.expect("it runs");
    let process = rustix::process::Pid::from_raw(hello.pid.cast_signed());
    let kill = rustix::process::Signal::KILL;
    rustix::process::kill_process(process.expect("a process"), kill).expect("it is ours");
    let again = wait::answer(async || said(host).await).await;
    assert_eq!(again.as_deref(), Some("one"));
    let mut events = server.sse("/api/events?after=0").await;
    events
        .until(|event| event["payload"]["what"] == "proxy_restarted")
        .await;
    server.stop().await;
}
