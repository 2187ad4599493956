//! What our own operations do to instances is planned, and nothing else is: also where a
//! client hangs up, a server is killed, or nobody watches any more.

use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    kills::{make_project, newest_ended, start_deploy},
    support::{
        bench::bench, engine::Engine, program::Program, server::Server, shared::Shared, wait,
    },
};

/// Ends by itself once it is told to; deaf to whoever asks it to stop, which it notes.
const DEAF: &str =
    "trap 'echo > /asked' TERM; until [ -e /end ]; do sleep 0.1; done; echo bye; exit 3";
/// The same, but not deaf.
const GENTLE: &str = "trap 'exit 0' TERM; until [ -e /end ]; do sleep 0.1; done; exit 3";

fn runs(spec: &mut Value, script: &str) {
    spec["entrypoint"] = json!(["/bin/busybox"]);
    spec["command"] = json!(["sh", "-c", script]);
    spec["health"] = json!({"min_uptime_ms": 100});
    spec["restart"] = json!("no");
}

fn end(engine: &Engine, container: &str) {
    engine.docker(&["exec", container, "sh", "-c", "echo > /end"]);
}

async fn was_asked_to_stop(engine: &Engine, container: &str) {
    let asked = wait::answer(async || {
        let look = engine.try_docker(&["exec", container, "test", "-e", "/asked"]);
        look.status.success().then_some(())
    });
    asked.await.expect("it is asked to stop");
}

/// The first event that tells of its end: reason, exit code, whether it was planned.
async fn end_of(server: &Server, instance: &str) -> (Value, Value, Value) {
    let path = format!("/api/events?after=0&type=instance_status&instance={instance}");
    let mut events = server.sse(&path).await;
    let end = events.until(|event| event["payload"]["status"] == "exited");
    summary(end.await)
}

fn summary(mut end: Value) -> (Value, Value, Value) {
    let planned = end["payload"]["planned"].as_bool();
    let severity = end["severity"].as_str();
    assert_eq!(planned == Some(true), severity == Some("info"), "{end}");
    let mut take = |name| end["payload"][name].take();
    (take("reason"), take("exit_code"), take("planned"))
}

#[tokio::test]
async fn a_project_is_deleted_to_its_end_though_its_client_hangs_up() {
    let bench = bench().await;
    bench.project("hangup", |spec| runs(spec, DEAF)).await;
    assert_eq!(bench.deploy("hangup").await["status"], "succeeded");
    let known = wait::answer(async || {
        let instances = bench.server.json("/api/instances").await.to_string();
        instances.contains("hangup-prod-1-0").then_some(())
    });
    known.await.expect("it is known");
    let url = bench.server.url("/api/projects/hangup?stop=true");
    let delete = bench.server.http.delete(url).json(&json!({}));
    let hung_up = delete.timeout(Duration::from_secs(1)).send().await;
    assert!(hung_up.is_err(), "its instance takes ten seconds to stop");
    let forgotten = wait::answer(async || {
        let answer = bench.server.get("/api/projects/hangup").send().await;
        (answer.ok()?.status() == StatusCode::NOT_FOUND).then_some(())
    });
    forgotten.await.expect("it is deleted all the same");
    let all = bench.engine.docker(&["ps", "-a", "--format", "{{.Names}}"]);
    assert!(!all.contains("hangup-prod-1-0"), "{all}");
    let end = end_of(&bench.server, "hangup-prod-1-0").await;
    assert_eq!((end.0, end.2), (json!("stopped"), json!(true)));
    bench.server.stop().await;
}

#[tokio::test]
async fn the_end_of_a_candidate_is_silent_and_told_as_what_it_was() {
    let bench = bench().await;
    bench
        .project("trial", |spec| runs(spec, "sleep 1; exit 3"))
        .await;
    bench
        .update("trial", |spec| {
            spec["health"]["min_uptime_ms"] = json!(60_000)
        })
        .await;
    assert_eq!(bench.deploy("trial").await["status"], "failed");
    let crash = end_of(&bench.server, "trial-prod-1-0").await;
    assert_eq!(crash, (json!("unexpected_exit"), json!(3), json!(true)));

    let deaf = |spec: &mut Value| {
        runs(spec, GENTLE);
        spec["health"] = json!({"tcp": {"port": 9}, "timeout_ms": 500});
    };
    bench.update("trial", deaf).await;
    assert_eq!(bench.deploy("trial").await["status"], "failed");
    let stop = end_of(&bench.server, "trial-prod-2-0").await;
    assert_eq!(stop, (json!("stopped"), json!(0), json!(true)));
    bench.server.stop().await;
}

#[tokio::test]
async fn an_instance_that_a_deploy_was_stopping_when_the_server_ended_is_no_alarm() {
    let engine = &Shared::get().engine;
    let dir = tempfile::tempdir().expect("temporary directory");
    let serve = async || Program::serve_with(dir.path(), &engine.address()).await;
    let mut spec = json!({"image": "idle:1", "pull": "never", "stop_grace_ms": 4000, "bake_ms": 0});
    runs(&mut spec, DEAF);
    let mut server = serve().await;
    make_project(&server, "cutoff", &spec).await;
    start_deploy(&server, "cutoff").await.expect("it lives");
    assert_eq!(newest_ended(&server, "cutoff").await["status"], "succeeded");
    for (generation, signal) in [(1, Signal::KILL), (2, Signal::TERM)] {
        let old = format!("cutoff-prod-{generation}-0");
        start_deploy(&server, "cutoff").await.expect("it lives");
        was_asked_to_stop(engine, &old).await;
        server.end(signal).await;
        let ended = wait::answer(async || {
            let state = engine.docker(&["inspect", &old, "--format", "{{.State.Status}}"]);
            (state == "exited").then_some(())
        });
        ended.await.expect("the engine goes on to stop it");
        server = serve().await;
        assert_eq!(newest_ended(&server, "cutoff").await["status"], "succeeded");
        let path = format!("/api/events?after=0&type=instance_status&instance={old}");
        let mut events = server.sse(&path, None).await;
        let end = events.until(|event| event["payload"]["status"] == "exited");
        let end = summary(end.await);
        assert_eq!(
            end,
            (json!("stopped"), json!(137), json!(true)),
            "{signal:?}"
        );
    }
    server.end(Signal::TERM).await;
    engine.docker(&["rm", "-f", "cutoff-prod-3-0"]);
}

#[tokio::test]
async fn a_new_instance_that_dies_while_the_old_one_is_stopped_is_an_alarm_if_nobody_watches_it() {
    let bench = bench().await;
    bench
        .project("heir", |spec| {
            runs(spec, DEAF);
            spec["stop_grace_ms"] = json!(5_000);
        })
        .await;
    assert_eq!(bench.deploy("heir").await["status"], "succeeded");
    let second = bench.start("heir").await;
    was_asked_to_stop(bench.engine, "heir-prod-1-0").await;
    end(bench.engine, "heir-prod-2-0");
    let sudden = end_of(&bench.server, "heir-prod-2-0").await;
    assert_eq!(sudden, (json!("unexpected_exit"), json!(3), json!(false)));
    let deploy = bench.ended(second).await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    let old = end_of(&bench.server, "heir-prod-1-0").await;
    assert_eq!(old, (json!("stopped"), json!(137), json!(true)));
    bench.server.stop().await;
}

#[tokio::test]
async fn an_old_instance_that_serves_again_and_dies_at_once_is_an_alarm() {
    let bench = bench().await;
    bench
        .project("comeback", |spec| {
            runs(spec, GENTLE);
            spec["restart"] = json!("unless-stopped");
            spec["bake_ms"] = json!(600_000);
        })
        .await;
    let first = bench.start("comeback").await;
    bench.reaches(first, "baking").await;
    let second = bench.start("comeback").await;
    assert_eq!(bench.ended(first).await["status"], "succeeded");
    bench.reaches(second, "baking").await;
    let old = "comeback-prod-1-0";
    assert_eq!(bench.restart_policy(old), "no");
    bench.cancel(second).await;
    let serves_again =
        wait::answer(async || (bench.restart_policy(old) == "unless-stopped").then_some(()));
    serves_again.await.expect("it serves again");
    end(bench.engine, old);
    let path = format!("/api/events?after=0&type=instance_status&instance={old}");
    let mut events = bench.server.sse(&path).await;
    let is_end = |event: &Value| event["payload"]["status"] == "exited";
    let stop = summary(events.until(is_end).await);
    assert_eq!(stop, (json!("stopped"), json!(0), json!(true)));
    let sudden = summary(events.until(is_end).await);
    assert_eq!(sudden, (json!("unexpected_exit"), json!(3), json!(false)));
    bench.ended(second).await;
    bench.engine.docker(&["rm", "-f", old]);
    bench.server.stop().await;
}

#[tokio::test]
async fn an_end_that_a_deploy_has_put_up_with_is_told_once_it_is_over() {
    let bench = bench().await;
    // Later than what would be a crash loop.
    let script = "[ -e /once ] && exec sleep 600; echo > /once; sleep 11; exit 3";
    bench
        .project("hiccup", |spec| {
            runs(spec, script);
            spec["restart"] = json!("always");
            spec["bake_ms"] = json!(14_000);
        })
        .await;
    assert_eq!(bench.deploy("hiccup").await["status"], "succeeded");
    let name = "hiccup-prod-1-0";
    assert_eq!(end_of(&bench.server, name).await.2, json!(true));
    // It is looked at by and by, or where something happens to it.
    bench
        .engine
        .docker(&["update", "--cpu-shares", "512", name]);
    let path = format!("/api/events?after=0&type=instance_status&instance={name}");
    let mut events = bench.server.sse(&path).await;
    let is_told = |event: &Value| event["payload"]["planned"] == false;
    let told = events.until(is_told).await;
    assert_eq!(told["severity"], "warning");
    assert_eq!(told["payload"]["reason"], "restarted");
    assert_eq!(told["payload"]["exit_code"], 3);
    bench.engine.docker(&["rm", "-f", name]);
    bench.server.stop().await;
}
