//! Domains that Caddy serves in front of the data plane.

use std::{fs, path::PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    bench::{Bench, bench, bench_where},
    binary::Binary,
    domains::Domains,
    registry::free_port,
    traffic::Door,
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

/// A project that is deployed, and has these domains.
async fn deployed(bench: &Bench, project: &str, names: &[&str]) {
    let change = |spec: &mut Value| spec["domains"] = named(names);
    bench.project(project, change).await;
    let deploy = bench.deploy(project).await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
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
    deployed(&bench, "renamed", &["old.example"]).await;

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
    let (bench, domains) = domains_bench().await;
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

    // Nor while the other may still come back to it.
    let gives_up = |spec: &mut Value| {
        spec["domains"] = json!([]);
        spec["bake_ms"] = json!(600_000);
    };
    bench.update("owner", gives_up).await;
    let giving_up = bench.start("owner").await;
    bench.reaches(giving_up, "baking").await;
    assert_eq!(bench.deploy("rival").await["reason"], reason);
    bench.cancel(giving_up).await;
    assert_eq!(bench.ended(giving_up).await["status"], "rolled_back");
    let said = domains.said("taken.example", &data(&bench)).await;
    assert_eq!(said.as_deref(), Some("one"));
    bench.server.stop().await;
}

#[tokio::test]
async fn caddy_that_dies_is_started_again_and_that_is_told() {
    let (bench, domains) = domains_bench().await;
    let data = data(&bench);
    deployed(&bench, "dies", &["dies.example"]).await;
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
async fn a_second_caddy_in_the_same_folder_leaves_the_first_alone() {
    let (bench, domains) = domains_bench().await;
    let data = data(&bench);
    deployed(&bench, "alone", &["alone.example"]).await;
    let folder = data.to_str().expect("UTF-8");
    let second = ["proxy", "domains", "--caddy", "caddy", "--data", folder];
    let ended = Binary::new().run(&second).await;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        said.contains("another Caddy serves these domains"),
        "{said}"
    );
    bench
        .update("alone", |spec| spec["domains"] = named(&["still.example"]))
        .await;
    assert_eq!(bench.deploy("alone").await["status"], "succeeded");
    let said = domains.said("still.example", &data).await;
    assert_eq!(said.as_deref(), Some("one"));
    bench.server.stop().await;
}

#[tokio::test]
async fn the_last_domain_goes_at_once_though_somebody_is_in_the_middle_of_a_request() {
    let (bench, domains) = domains_bench().await;
    let data = data(&bench);
    deployed(&bench, "last", &["last.example"]).await;
    let door = Door::domain("last.example", domains.https, &Domains::root(&data));
    let mut open = door.connect().await.expect("a connection");
    let unfinished = "POST / HTTP/1.1\r\nHost: last.example\r\nContent-Length: 9\r\n\r\nabc";
    open.send(unfinished.as_bytes()).await.expect("sent");
    bench
        .update("last", |spec| {
            spec["domains"] = json!([]);
            spec["drain_ms"] = json!(1_000);
        })
        .await;
    let deploy = bench.deploy("last").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert!(!config_file(&bench).exists());
    assert_eq!(domains.said("last.example", &data).await, None);
    bench.server.stop().await;
}

#[tokio::test]
async fn a_lane_goes_from_a_published_port_to_a_domain_on_it_and_back() {
    let (bench, domains) = domains_bench().await;
    let data = data(&bench);
    let published = |spec: &mut Value| {
        spec["ports"] = json!([{"host": domains.http, "container": 80}]);
        spec["domains"] = json!([]);
    };
    let with_domain = |spec: &mut Value| {
        spec["ports"] = json!([]);
        spec["domains"] = named(&["moves.example"]);
    };
    bench.project("moves", published).await;
    assert_eq!(bench.deploy("moves").await["status"], "succeeded");
    bench.update("moves", with_domain).await;
    let deploy = bench.deploy("moves").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    let said = domains.said("moves.example", &data).await;
    assert_eq!(said.as_deref(), Some("one"));
    bench.update("moves", published).await;
    let deploy = bench.deploy("moves").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    let plain = reqwest::get(format!("http://127.0.0.1:{}/", domains.http)).await;
    assert_eq!(plain.expect("an answer").status(), StatusCode::OK);

    // For another lane that is in the way, and it is said whose it is.
    bench.project("waits", with_domain).await;
    let deploy = bench.deploy("waits").await;
    let reason = deploy["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("moves/prod publishes it"), "{deploy}");
    bench.server.stop().await;
}

#[tokio::test]
async fn nobody_is_refused_while_a_domain_goes_from_one_port_of_the_container_to_another() {
    let (bench, domains) = domains_bench().await;
    let data = data(&bench);
    let at = |port: u16| {
        move |spec: &mut Value| {
            let serve = "httpd -p 80 -h /www; httpd -p 81 -h /www; sleep 9999";
            let script = format!("mkdir -p /www; echo $WORD > /www/index.html; {serve}");
            spec["entrypoint"] = json!(["/bin/busybox"]);
            spec["command"] = json!(["sh", "-c", script]);
            spec["domains"] = json!([{"name": "ports.example", "port": port}]);
            spec["drain_ms"] = json!(1_000);
        }
    };
    bench.project("ports", at(80)).await;
    assert_eq!(bench.deploy("ports").await["status"], "succeeded");
    let asking = async {
        loop {
            let said = domains.said("ports.example", &data).await;
            assert_eq!(said.as_deref(), Some("one"));
        }
    };
    let moving = async {
        for port in [81, 80, 81] {
            bench.update("ports", at(port)).await;
            let deploy = bench.deploy("ports").await;
            assert_eq!(deploy["status"], "succeeded", "{deploy}");
        }
    };
    tokio::select! {
        () = asking => {}
        () = moving => {}
    }
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
