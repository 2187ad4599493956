//! Domains that Caddy serves in front of the data plane.

use std::{fs, path::PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    bench::{Bench, bench, bench_where},
    domains::Domains,
    registry::free_port,
    wait,
};

async fn domains_bench() -> (Bench, Domains) {
    let domains = Domains::on_free_ports();
    let bench = bench_where(|args| domains.configure(args)).await;
    (bench, domains)
}

fn data(bench: &Bench) -> PathBuf {
    bench.server.dir.path().join("data")
}

fn config_file(bench: &Bench) -> PathBuf {
    data(bench).join("caddy/config.json")
}

fn named(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| json!({"name": name, "port": 80}))
        .collect()
}

async fn word(bench: &Bench, project: &str, word: &str) {
    let change = |spec: &mut Value| spec["env"][0]["value"] = json!(word);
    bench.update(project, change).await;
}

#[tokio::test]
async fn a_domain_leads_to_who_serves_and_a_deploy_changes_nothing_in_front_of_it() {
    let (bench, domains) = domains_bench().await;
    let data = data(&bench);
    let change = |spec: &mut Value| spec["domains"] = named(&["shop.example", "www.shop.example"]);
    bench.project("named", change).await;
    let deploy = bench.deploy("named").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert_eq!(deploy["strategy"], "port-hold");
    let log = bench.log(&deploy["id"]).await;
    assert!(!log.contains("warning: https"), "{log}");
    for name in ["shop.example", "www.shop.example"] {
        assert_eq!(domains.said(name, &data).await.as_deref(), Some("one"));
    }
    assert_eq!(domains.said("other.example", &data).await, None);

    let project = bench.server.json("/api/projects/named").await;
    let held = &project["stages"][0]["held"];
    assert_eq!(held["domains"][1]["name"], "www.shop.example", "{held}");

    let told = fs::read(config_file(&bench)).expect("a file");
    word(&bench, "named", "two").await;
    let deploy = bench.deploy("named").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert_eq!(deploy["plan"]["downtime"], false);
    let said = domains.said("shop.example", &data).await;
    assert_eq!(said.as_deref(), Some("two"));
    assert_eq!(fs::read(config_file(&bench)).expect("a file"), told);

    let one_less = |spec: &mut Value| spec["domains"] = named(&["shop.example"]);
    bench.update("named", one_less).await;
    assert_eq!(bench.deploy("named").await["status"], "succeeded");
    assert_eq!(domains.said("www.shop.example", &data).await, None);
    let said = domains.said("shop.example", &data).await;
    assert_eq!(said.as_deref(), Some("two"));

    let path = "/api/projects/named?stop=true";
    let (status, _) = bench.server.send(Method::DELETE, path, &json!({})).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(domains.said("shop.example", &data).await, None);
    assert!(!config_file(&bench).exists());
    bench.server.stop().await;
}

#[tokio::test]
async fn a_deploy_that_fails_or_does_not_last_leaves_domains_as_they_were() {
    let (bench, domains) = domains_bench().await;
    let data = data(&bench);
    let change = |spec: &mut Value| spec["domains"] = named(&["old.example"]);
    bench.project("renamed", change).await;
    assert_eq!(bench.deploy("renamed").await["status"], "succeeded");

    for (script, min_uptime, status) in [
        ("exit 7", 10_000, "failed"),
        ("httpd -p 80 -h /; sleep 3; exit 3", 100, "rolled_back"),
    ] {
        let change = |spec: &mut Value| {
            spec["domains"] = named(&["new.example"]);
            spec["entrypoint"] = json!(["/bin/busybox"]);
            spec["command"] = json!(["sh", "-c", script]);
            spec["health"] = json!({"min_uptime_ms": min_uptime});
            spec["bake_ms"] = json!(60_000);
        };
        bench.update("renamed", change).await;
        let deploy = bench.deploy("renamed").await;
        assert_eq!(deploy["status"], status, "{deploy}");
        let said = domains.said("old.example", &data).await;
        assert_eq!(said.as_deref(), Some("one"));
        assert_eq!(domains.said("new.example", &data).await, None);
    }
    bench.server.stop().await;
}

#[tokio::test]
async fn a_domain_of_another_lane_is_refused_before_anything_is_done() {
    let (bench, _) = domains_bench().await;
    let change = |spec: &mut Value| spec["domains"] = named(&["taken.example"]);
    for project in ["owner", "rival"] {
        bench.project(project, change).await;
    }
    assert_eq!(bench.deploy("owner").await["status"], "succeeded");
    let path = "/api/projects/rival/deploys?dry_run=true";
    let (_, preview) = bench.server.post(path, &json!({})).await;
    let deploy = bench.deploy("rival").await;
    assert_eq!(deploy["status"], "failed", "{deploy}");
    assert_eq!(deploy["failure"]["step"], "plan");
    let reason = "`taken.example` leads to owner/prod: remove it there first";
    assert_eq!(deploy["reason"], reason);
    let warnings = preview["plan"]["warnings"].as_array().expect("warnings");
    assert!(warnings.contains(&json!(reason)), "{preview}");
    bench.server.stop().await;
}

#[tokio::test]
async fn caddy_that_dies_is_started_again_and_that_is_told() {
    let (bench, domains) = domains_bench().await;
    let data = data(&bench);
    let change = |spec: &mut Value| spec["domains"] = named(&["dies.example"]);
    bench.project("dies", change).await;
    assert_eq!(bench.deploy("dies").await["status"], "succeeded");
    let mut events = bench.server.sse("/api/events?type=system").await;
    Domains::kill_caddy(&data);
    events
        .until(|event| event["payload"]["what"] == "caddy_restarted")
        .await;
    let said = wait::answer(async || domains.said("dies.example", &data).await).await;
    assert_eq!(said.expect("it answers again"), "one");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_domain_without_a_certificate_is_a_warning_that_says_where_the_reason_is() {
    let nobody = format!("https://127.0.0.1:{}/directory", free_port());
    let domains = Domains::on_free_ports();
    let bench = bench_where(|args| {
        domains.configure(args);
        args.certificates = Some(nobody);
    });
    let bench = bench.await;
    let change = |spec: &mut Value| spec["domains"] = named(&["early.example"]);
    bench.project("early", change).await;
    let deploy = bench.deploy("early").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    let log = bench.log(&deploy["id"]).await;
    let reasons = data(&bench).join("caddy/log");
    let wanted = [
        "https://early.example is not served yet",
        reasons.to_str().expect("UTF-8"),
    ];
    for wanted in wanted {
        assert!(log.contains(wanted), "{log}");
    }
    let said = fs::read_to_string(reasons).expect("a log");
    assert!(said.contains("connection refused"), "{said}");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_domain_that_cannot_be_served_says_what_is_missing() {
    let refused = async |bench: &Bench, reason: &str| {
        let deploy = bench.deploy("lost").await;
        assert_eq!(deploy["status"], "failed", "{deploy}");
        let told = deploy["reason"].as_str().expect("a reason");
        assert!(told.contains(reason), "{told}");
    };
    let named = |spec: &mut Value| spec["domains"] = named(&["lost.example"]);

    let without = bench_where(|args| args.caddy = Some("/nonexistent/caddy".into())).await;
    without.project("lost", named).await;
    refused(&without, "apt install caddy").await;
    without.server.stop().await;

    let (taken, domains) = domains_bench().await;
    let listener = std::net::TcpListener::bind(("0.0.0.0", domains.https));
    taken.project("lost", named).await;
    refused(&taken, "Caddy cannot serve domains: port").await;
    drop(listener);

    taken
        .update("lost", |spec| spec["networks"] = json!(["host"]))
        .await;
    refused(
        &taken,
        "its domains cannot lead to it, since network `host`",
    )
    .await;
    taken.server.stop().await;
}

#[tokio::test]
async fn a_domain_asks_for_a_routing_that_can_lead_to_it() {
    let bench = bench().await;
    let spec = json!({"image": "app:1", "routing": "stop-first",
        "domains": [{"name": "https://shop.example", "port": 0}]});
    let body = json!({"name": "wrong", "spec": spec});
    let (status, answer) = bench.server.post("/api/projects", &body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    let text = answer.to_string();
    for field in ["/spec/domains", "/domains/0/name", "/domains/0/port"] {
        assert!(text.contains(field), "{text}");
    }
    bench.server.stop().await;
}
