//! What is counted of a plugin.

use serde_json::{Value, json};

use super::{Host, publish};
use crate::support::{
    binary::Binary,
    folder::{put, webhook},
    target::Answer,
};

/// A webhook and a filter before it, after two projects, the second of which was
/// taken only at the second attempt.
async fn counted() -> Host {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[plugin.rules]\nfile = \"builtin:rules\"\n\
           config.rules = [{ drop_if = 'project == \"noisy\"' }]\n\
           [pipeline.all]\nwhen.type = \"project_status\"\nsteps = [\"rules\"]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", toml);
    host.pipeline(|all| all["state"] == "running").await;
    publish(&host.server, "noisy").await;
    publish(&host.server, "shop").await;
    host.delivery_is("delivered").await;
    host.target.answer_next([Answer::new(503, "not now")]);
    publish(&host.server, "blog").await;
    host.delivery_is("delivered").await;
    host
}

async fn plugin(host: &Host, name: &str) -> Value {
    host.listed("/api/plugins", |it| it["name"] == name).await
}

async fn metrics(host: &Host) -> String {
    let answer = host.server.get("/api/metrics").send().await;
    let answer = answer.expect("an answer");
    let kind = answer.headers()["content-type"].to_str().expect("text");
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.expect("text")
}

#[tokio::test]
async fn calls_memory_requests_and_deliveries_are_counted() {
    let host = counted().await;
    // The status is told in the transaction that is counted after it.
    let sent = |it: &Value| it["name"] == "hook" && it["deliveries"]["sent"] == 2;
    let hook = host.listed("/api/plugins", sent).await;
    assert_eq!(
        hook["deliveries"],
        json!({"sent": 2, "failed": 1, "dead": 0})
    );
    assert_eq!(hook["http_requests"], json!({"2xx": 2, "5xx": 1}));
    assert_eq!(hook["calls"]["total"], 3);
    assert_eq!(hook["calls"]["faults"], 0);
    let figure = |of: &Value| of.as_f64().expect("a figure");
    let calls = &hook["calls"];
    assert!(figure(&calls["p50_us"]) > 0.0);
    assert!(figure(&calls["p95_us"]) >= figure(&calls["p50_us"]));
    assert!(figure(&calls["p99_us"]) >= figure(&calls["p95_us"]));
    let memory = &hook["memory"];
    assert_eq!(memory["guests"], 1);
    assert!(figure(&memory["bytes"]) >= 65_536.0);
    assert!(figure(&memory["peak_bytes"]) <= f64::from(64 << 20));

    let rules = plugin(&host, "rules").await;
    assert_eq!(
        (&rules["calls"]["total"], &rules["calls"]["drops"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(rules["deliveries"], Value::Null);
    host.server.stop().await;
}

#[tokio::test]
async fn a_collector_and_the_command_line_are_told_the_same() {
    let host = counted().await;
    let sent = |it: &Value| it["name"] == "hook" && it["deliveries"]["sent"] == 2;
    let hook = host.listed("/api/plugins", sent).await;
    let text = metrics(&host).await;
    for line in [
        "tiny_forge_plugin_state{plugin=\"hook\",state=\"running\"} 1".to_owned(),
        "tiny_forge_plugin_call_seconds_count{plugin=\"hook\"} 3".to_owned(),
        "tiny_forge_plugin_http_requests_total{plugin=\"hook\",outcome=\"5xx\"} 1".to_owned(),
        "tiny_forge_plugin_deliveries_total{plugin=\"hook\",outcome=\"sent\"} 2".to_owned(),
        "tiny_forge_plugin_queue_pending{plugin=\"hook\"} 0".to_owned(),
        "tiny_forge_plugin_drops_total{plugin=\"rules\"} 1".to_owned(),
        format!(
            "tiny_forge_plugin_memory_bytes{{plugin=\"hook\"}} {}",
            hook["memory"]["bytes"]
        ),
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    let listed = Binary::against(&host.server).run(&["plugin", "list"]).await;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let head = listed.lines().next().expect("a head");
    for column in ["CALLS", "P99", "FAULTS", "MEMORY", "WAITING"] {
        assert!(head.contains(column), "{listed}");
    }
    let is_time =
        |word: &str| word.starts_with(|it: char| it.is_ascii_digit()) && word.ends_with('s');
    let hook = listed.lines().find(|line| line.starts_with("hook"));
    let mut words = hook.expect("the sink").split_whitespace();
    assert!(listed.contains("MiB") && words.any(is_time), "{listed}");
    host.server.stop().await;
}

#[tokio::test]
async fn a_dry_run_counts_for_itself() {
    let host = counted().await;
    let sent = |it: &Value| it["name"] == "hook" && it["deliveries"]["sent"] == 2;
    let before = host.listed("/api/plugins", sent).await;
    for path in ["/api/plugins/hook/dry-run", "/api/pipelines/all/dry-run"] {
        let (status, run) = host.server.post(path, &json!({})).await;
        assert_eq!(status, 200, "{run}");
        assert!(
            run["deliveries"]
                .as_array()
                .is_some_and(|it| !it.is_empty())
        );
    }
    let after = plugin(&host, "hook").await;
    for counted in ["calls", "memory", "http_requests", "deliveries"] {
        assert_eq!(after[counted], before[counted], "{counted}");
    }
    host.server.stop().await;
}
