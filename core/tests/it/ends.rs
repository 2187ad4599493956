//! What is told of an end that nobody asked for: enough to act on, without secrets, and once.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    bench::{Bench, bench, bench_at},
    proxy::Proxy,
    server::Server,
    wait,
};

const CANARY: &str = "canary-7b2e-secret";
/// Ends once it is told to, with more to say than anybody wants to hear.
const SCRIPT: &str = "until [ -e /end ]; do sleep 0.1; done; \
    for line in $(seq 30); do echo line $line; done; \
    echo cannot log in with $WORD; printf %s $WORD | base64; seq -s, 999; exit 3";

/// Serves, and is nobody's plan any more, since the server is another one.
async fn serving(bench: Bench, project: &str) -> Server {
    let changed = |spec: &mut Value| {
        spec["env"] = json!([{"name": "WORD", "value": CANARY, "secret": true}]);
        spec["entrypoint"] = json!(["/bin/busybox"]);
        spec["command"] = json!(["sh", "-c", SCRIPT]);
        spec["health"] = json!({"min_uptime_ms": 100});
        spec["restart"] = json!("no");
    };
    bench.project(project, changed).await;
    let deploy = bench.deploy(project).await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    bench.server.restart().await
}

/// What is told of its end.
async fn end_of(server: &Server, instance: &str) -> Value {
    let path = format!("/api/events?after=0&type=instance_status&instance={instance}");
    let mut events = server.sse(&path).await;
    events
        .until(|event| event["payload"]["reason"] == "unexpected_exit")
        .await
}

#[tokio::test]
async fn an_unexpected_end_is_told_with_the_last_lines_and_without_their_secrets() {
    let bench = bench().await;
    let engine = bench.engine;
    let server = serving(bench, "talker").await;
    engine.docker(&["exec", "talker-prod-1-0", "sh", "-c", "echo > /end"]);
    let end = end_of(&server, "talker-prod-1-0").await;
    assert_eq!(end["severity"], "error");
    let lines = end["payload"]["log_tail"].as_array().expect("lines");
    assert_eq!(lines.len(), 20, "{lines:?}");
    let place = |wanted: &str| lines.iter().position(|line| line == wanted);
    assert_eq!((place("line 14"), place("line 30")), (Some(0), Some(16)));
    assert_eq!(place("cannot log in with (secret)"), Some(17));
    assert_eq!(place("(secret)"), Some(18), "in base64: {lines:?}");
    let long = lines[19].as_str().expect("a line");
    assert!(long.len() < 400 && long.ends_with('…'), "{long}");
    for path in ["/api/events?limit=500", "/api/instances", "/api/deploys"] {
        let shown = server.json(path).await.to_string();
        assert!(!shown.contains(CANARY), "{path}");
    }
    let data = server.dir.path().join("data");
    for name in ["tiny-forge.db", "tiny-forge.db-wal"] {
        let bytes = fs::read(data.join(name)).expect("the database");
        let mut windows = bytes.windows(CANARY.len());
        assert!(!windows.any(|window| window == CANARY.as_bytes()), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_end_seconds_after_a_deploy_has_succeeded_is_no_plan_of_it() {
    let bench = bench().await;
    let ends_soon = |spec: &mut Value| {
        spec["entrypoint"] = json!(["/bin/busybox"]);
        spec["command"] = json!(["sh", "-c", "sleep 6; exit 3"]);
        spec["health"] = json!({"min_uptime_ms": 100});
        spec["restart"] = json!("no");
    };
    bench.project("mayfly", ends_soon).await;
    assert_eq!(bench.deploy("mayfly").await["status"], "succeeded");
    let end = end_of(&bench.server, "mayfly-prod-1-0").await;
    assert_eq!(end["severity"], "error", "{end}");
    assert_eq!(end["payload"]["planned"], false);
    bench.server.stop().await;
}

#[tokio::test]
async fn what_containers_of_others_said_is_not_told() {
    let bench = bench().await;
    let said = ["idle:1", "sh", "-c", "echo my password is hunter2; exit 3"];
    let run = ["run", "-d", "--name", "stranger"];
    bench.engine.docker(&[&run[..], &said[..]].concat());
    let end = end_of(&bench.server, "stranger").await;
    assert_eq!(end["payload"]["exit_code"], 3);
    assert!(!end.to_string().contains("hunter2"), "{end}");
    bench.server.stop().await;
}

#[tokio::test]
async fn an_end_is_told_also_where_the_engine_does_not_come_up_with_the_output() {
    let bench = bench().await;
    let engine = bench.engine;
    let proxy = Proxy::to(&engine.address()).await;
    let server = serving(bench_at(&proxy.address).await, "mute").await;
    proxy.keep_output();
    engine.docker(&["exec", "mute-prod-1-0", "sh", "-c", "echo > /end"]);
    let begun = Instant::now();
    let end = end_of(&server, "mute-prod-1-0").await;
    assert!(begun.elapsed() < Duration::from_secs(9), "{end}");
    assert_eq!(end["payload"]["log_tail"], Value::Null);
    assert_eq!(end["severity"], "error");
    bench.server.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_crash_loop_is_one_alarm_however_long_it_goes_on() {
    let bench = bench().await;
    let run = ["run", "-d", "--name", "looper", "--restart", "always"];
    let command = ["idle:1", "sh", "-c", "exit 3"];
    bench.engine.docker(&[&run[..], &command[..]].concat());
    let path = "/api/events?type=instance_status&instance=looper&after=0&limit=100";
    let told = wait::answer(async || {
        let told = bench.server.json(path).await["items"].take();
        let told = told.as_array().expect("items").clone();
        let ends = told.iter().filter(|it| is_told(it, "unexpected_exit"));
        (ends.count() >= 6).then_some(told)
    });
    let told = told.await.expect("it goes on");
    bench.engine.docker(&["rm", "-f", "looper"]);
    let begins = told.iter().position(|it| is_told(it, "crash_loop"));
    let (before, after) = told.split_at(begins.expect("a crash loop"));
    let (begins, after) = after.split_first().expect("a crash loop");
    assert_eq!(begins["severity"], "error");
    let since = &begins["payload"]["crash_loop_since"];
    assert_eq!(since, &begins["time"]);
    for event in after {
        assert_eq!(event["severity"], "info", "{event}");
        assert_eq!(&event["payload"]["crash_loop_since"], since, "{event}");
    }
    // The third end is told as the loop that it makes; on a busy machine two may be seen as one.
    let ends = before.iter().filter(|it| is_told(it, "unexpected_exit"));
    let ends: Vec<&Value> = ends.map(|end| &end["severity"]).collect();
    let (last, first) = ends.split_last().expect("ends");
    assert_eq!(*last, "info", "{before:?}");
    assert!((1..=2).contains(&first.len()), "{before:?}");
    assert!(first.iter().all(|it| *it == "error"), "{before:?}");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_stop_between_two_ends_of_a_crash_loop_is_told_and_ends_it() {
    let bench = bench().await;
    let run = ["run", "-d", "--name", "halting", "--restart", "always"];
    let command = ["idle:1", "sh", "-c", "exit 3"];
    bench.engine.docker(&[&run[..], &command[..]].concat());
    let path = "/api/instances/halting";
    let is = |shown: &Value, status| shown["status"] == status;
    let waits = wait::answer(async || {
        let answer = bench.server.get(path).send().await.ok()?;
        let shown: Value = answer.json().await.ok()?;
        // Seconds lie between two restarts by then.
        let waits = is(&shown, "restarting") && shown["restart_count"].as_i64() >= Some(6);
        (waits && !shown["crash_loop_since"].is_null()).then_some(())
    });
    waits.await.expect("a crash loop");
    bench.engine.docker(&["stop", "halting"]);
    let path_of_events = "/api/events?after=0&type=instance_status&instance=halting";
    let mut events = bench.server.sse(path_of_events).await;
    let stopped = events.until(|event| is_told(event, "stopped")).await;
    assert_eq!(stopped["severity"], "info");
    assert_eq!(stopped["payload"]["crash_loop_since"], Value::Null);
    // It compares everything.
    let server = bench.server.restart().await;
    let compared = wait::answer(async || {
        let instances = server.json("/api/status").await;
        (instances["engine"]["state"] == "connected").then_some(())
    });
    compared.await.expect("it connects");
    bench
        .engine
        .docker(&["run", "-d", "--name", "after-halting", "idle:1"]);
    let mut later = server
        .sse("/api/events?after=0&instance=after-halting")
        .await;
    later.until(|event| is_told(event, "started")).await;
    let shown = server.json(path).await;
    assert!(is(&shown, "exited"), "{shown}");
    assert_eq!(shown["crash_loop_since"], Value::Null);
    let path = "/api/events?type=instance_status&instance=halting&order=desc";
    let newest = &server.json(path).await["items"][0];
    assert_eq!(newest["id"], stopped["id"], "{newest}");
    bench
        .engine
        .docker(&["rm", "-f", "halting", "after-halting"]);
    server.stop().await;
}

fn is_told(event: &Value, reason: &str) -> bool {
    event["payload"]["reason"] == reason
}
