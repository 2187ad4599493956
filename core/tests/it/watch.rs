//! What containers do on a real engine becomes rows and events.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    engine::Engine,
    program::Program,
    proxy::Proxy,
    server::Server,
    shared::{Shared, import_idle},
    sse::Sse,
    wait,
};

/// A server that watches the shared engine, and all it tells from its start.
async fn watched() -> (&'static Engine, Server, Sse) {
    let engine = &Shared::get().engine;
    let (server, events) = watching(engine).await;
    (engine, server, events)
}

async fn watching(engine: &Engine) -> (Server, Sse) {
    let server = Server::with_engine(&engine.address()).await;
    let mut events = server.sse("/api/events?after=0").await;
    events
        .until(|event| event["payload"]["what"] == "engine_connected")
        .await;
    (server, events)
}

fn instance_event<'a>(name: &'a str, reason: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |event| {
        event["type"] == "instance_status"
            && event["payload"]["name"] == name
            && event["payload"]["reason"] == reason
    }
}

#[tokio::test]
async fn a_container_is_followed_from_its_start_to_its_removal() {
    let (engine, server, mut events) = watched().await;
    engine.docker(&[
        "run",
        "-d",
        "--name",
        "followed",
        "-e",
        "KEY=canary-value",
        "idle:1",
    ]);
    let started = events.until(instance_event("followed", "started")).await;
    assert_eq!(started["payload"]["managed"], false);
    assert_eq!(started["payload"]["status"], "running");
    assert!(!started.to_string().contains("canary-value"));
    let listed = server.json("/api/instances?managed=false").await;
    let listed = listed.to_string();
    assert!(listed.contains("\"followed\""), "{listed}");
    assert!(!listed.contains("canary-value"));

    engine.docker(&["stop", "-t", "5", "followed"]);
    let stopped = events.until(instance_event("followed", "stopped")).await;
    assert_eq!(
        (
            stopped["severity"].as_str(),
            stopped["payload"]["exit_code"].as_i64()
        ),
        (Some("info"), Some(0))
    );
    engine.docker(&["rm", "followed"]);
    events.until(instance_event("followed", "removed")).await;
    let gone = server.get("/api/instances/followed").send().await;
    assert_eq!(gone.expect("an answer").status(), 404);
    server.stop().await;
}

#[tokio::test]
async fn an_unexpected_end_and_a_memory_kill_are_told_apart_from_a_stop() {
    let (engine, server, mut events) = watched().await;
    engine.docker(&["run", "-d", "--name", "bad", "idle:1", "sh", "-c", "exit 3"]);
    let ended = events.until(instance_event("bad", "unexpected_exit")).await;
    assert_eq!(ended["payload"]["exit_code"], 3);
    assert_eq!(ended["severity"], "error");
    engine.docker(&[
        "run",
        "-d",
        "--name",
        "greedy",
        "--memory",
        "12m",
        "idle:1",
        "sh",
        "-c",
        // The engine may miss a kill that ends the container at the same moment.
        "sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'; sleep 1; exit 137",
    ]);
    let killed = events
        .until(|event| {
            event["payload"]["name"] == "greedy" && event["payload"]["status"] == "exited"
        })
        .await;
    assert_eq!(killed["payload"]["reason"], "oom", "{killed}");
    server.stop().await;
}

#[tokio::test]
async fn a_stop_is_a_stop_though_some_process_has_once_lacked_memory() {
    let (engine, server, mut events) = watched().await;
    let run = ["run", "-d", "--name", "hungry", "--memory", "12m", "idle:1"];
    let script = "sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'; \
        trap 'exit 7' TERM; echo > /lacked; while :; do sleep 1 & wait $!; done";
    engine.docker(&[&run[..], &["sh", "-c", script]].concat());
    let lacked = wait::answer(async || {
        let look = engine.try_docker(&["exec", "hungry", "test", "-e", "/lacked"]);
        look.status.success().then_some(())
    });
    lacked.await.expect("a process of it is killed");
    engine.docker(&["stop", "hungry"]);
    let end = events.until(|event| {
        event["payload"]["name"] == "hungry" && event["payload"]["status"] == "exited"
    });
    let end = end.await;
    assert_eq!(end["payload"]["reason"], "stopped", "{end}");
    assert_eq!(end["severity"], "info");
    server.stop().await;
}

#[tokio::test]
async fn a_stop_that_an_earlier_life_of_the_server_has_told_explains_no_later_end() {
    let (engine, server, mut events) = watched().await;
    let run = ["run", "-d", "--name", "reborn", "idle:1", "sh", "-c"];
    let script = "trap 'exit 0' TERM; until [ -e /end ]; do sleep 0.1; done; exit 3";
    engine.docker(&[&run[..], &[script]].concat());
    engine.docker(&["stop", "reborn"]);
    let stopped = events.until(instance_event("reborn", "stopped")).await;
    // The engine's last events come again.
    let server = server.restart().await;
    let after = format!("/api/events?after={}", stopped["id"]);
    let mut events = server.sse(&after).await;
    let connected = |event: &Value| event["payload"]["what"] == "engine_connected";
    events.until(connected).await;
    engine.docker(&["start", "reborn"]);
    events.until(instance_event("reborn", "started")).await;
    engine.docker(&["exec", "reborn", "sh", "-c", "echo > /end"]);
    let end = events.until(|event| {
        event["payload"]["name"] == "reborn" && event["payload"]["status"] == "exited"
    });
    assert_eq!(end.await["payload"]["reason"], "unexpected_exit");
    server.stop().await;
}

#[tokio::test]
async fn a_container_that_came_and_went_while_no_server_ran_is_told_and_so_is_the_gap() {
    let engine = &Shared::get().engine;
    let dir = tempfile::tempdir().expect("temporary directory");
    let server = Program::serve_with(dir.path(), &engine.address()).await;
    engine.docker(&["run", "-d", "--name", "witness", "idle:1"]);
    let mut events = server.sse("/api/events?after=0", None).await;
    let seen = events.until(instance_event("witness", "started")).await;
    server.end(Signal::TERM).await;
    let run = ["run", "--rm", "--name", "fleeting", "--label", "team=shop"];
    let ended = engine.try_docker(&[&run[..], &["idle:1", "sh", "-c", "exit 3"]].concat());
    assert_eq!(ended.status.code(), Some(3));

    let server = Program::serve_with(dir.path(), &engine.address()).await;
    let mut events = server.sse("/api/events?after=0", None).await;
    let gap = events.until(|event| event["type"] == "watch_gap").await;
    assert_eq!(gap["payload"]["reason"], "the server was not running");
    // Since the newest event, whichever that was.
    let from = gap["payload"]["from"].as_str();
    assert!(from >= seen["time"].as_str(), "{gap} {seen}");
    let end = events
        .until(instance_event("fleeting", "unexpected_exit"))
        .await;
    assert_eq!(end["severity"], "error");
    assert_eq!(end["payload"]["exit_code"], 3);
    assert_eq!(end["payload"]["image"], "idle:1");
    events.until(instance_event("fleeting", "removed")).await;
    engine.docker(&["rm", "-f", "witness"]);
    server.end(Signal::TERM).await;
}

#[tokio::test]
async fn a_crash_loop_is_told_once_also_through_a_restart_of_the_server() {
    let (engine, server, mut events) = watched().await;
    let script = "sleep 0.1; exit 3";
    let run = ["run", "-d", "--name", "looping", "--restart"];
    engine.docker(&[&run[..], &["on-failure:3", "idle:1", "sh", "-c", script]].concat());
    let told = events.until(instance_event("looping", "crash_loop")).await;
    assert_eq!(told["severity"], "error");
    assert_eq!(told["payload"]["exit_code"], 3);
    let shown = server.json("/api/instances/looping").await;
    assert_eq!(shown["crash_loop_since"], told["time"], "{shown}");

    let given_up = async |server: &Server, before: &Value| {
        let given_up = wait::answer(async || {
            let shown = server.json("/api/instances/looping").await;
            let is_over = shown["status"] == "exited" && shown["restart_count"] == 3;
            (is_over && shown["finished_at"] != *before).then(|| shown["finished_at"].clone())
        });
        given_up.await.expect("the engine gives up")
    };
    let first = given_up(&server, &Value::Null).await;
    let server = server.restart().await;
    engine.docker(&["start", "looping"]);
    given_up(&server, &first).await;
    assert_eq!(told_of(&server, "crash_loop").await, 1);
    engine.docker(&["rm", "-f", "looping"]);
    server.stop().await;
}

/// How often this was told of `looping`.
async fn told_of(server: &Server, reason: &str) -> usize {
    let path = "/api/events?type=instance_status&instance=looping&limit=100";
    let all = server.json(path).await;
    let events = all["items"].as_array().expect("items").iter();
    events
        .filter(|event| event["payload"]["reason"] == reason)
        .count()
}

#[tokio::test]
async fn health_is_told_when_it_changes() {
    let (engine, server, mut events) = watched().await;
    engine.docker(&[
        "run",
        "-d",
        "--name",
        "checked",
        "--health-cmd",
        "test -e /tmp/ok || exit 1",
        "--health-interval",
        "1s",
        "--health-retries",
        "1",
        "idle:1",
        "sh",
        "-c",
        "mkdir -p /tmp; while :; do sleep 1; done",
    ]);
    events.until(instance_event("checked", "unhealthy")).await;
    engine.docker(&["exec", "checked", "sh", "-c", "echo > /tmp/ok"]);
    events.until(instance_event("checked", "recovered")).await;
    server.stop().await;
}

#[tokio::test]
async fn an_engine_that_stops_and_comes_back_is_told_with_the_gap_and_right_states() {
    let engine = Engine::start();
    import_idle(&engine);
    let (server, mut events) = watching(&engine).await;
    engine.docker(&["run", "-d", "--name", "web", "idle:1"]);
    events.until(instance_event("web", "started")).await;
    engine.stop();
    events
        .until(|event| event["payload"]["what"] == "engine_lost")
        .await;
    let listed = server.json("/api/instances").await;
    assert_eq!(listed["items"][0]["stale"], true);
    engine.start_again();
    events
        .until(|event| event["payload"]["what"] == "engine_connected")
        .await;
    events.until(|event| event["type"] == "watch_gap").await;
    let state = server.json("/api/status").await;
    assert_eq!(state["engine"]["state"], "connected");
    // It ended with the engine; that is found by comparing.
    let mut ended = server.json("/api/instances/web").await;
    while ended["status"] != "exited" {
        events.event().await.expect("the stream goes on");
        ended = server.json("/api/instances/web").await;
    }
    assert_eq!(ended["stale"], false);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_hides_nothing_repeats_nothing_and_is_no_gap() {
    let engine = &Shared::get().engine;
    let mut proxy = Proxy::to(&engine.address()).await;
    let server = Server::with_engine(&proxy.address).await;
    let mut events = server.sse("/api/events?after=0").await;
    let engine_says = |what: &'static str| move |event: &Value| event["payload"]["what"] == what;
    events.until(engine_says("engine_connected")).await;
    engine.docker(&["run", "-d", "--name", "before", "idle:1"]);
    events.until(instance_event("before", "started")).await;

    proxy.cut().await;
    events.until(engine_says("engine_lost")).await;
    engine.docker(&["run", "-d", "--name", "meanwhile", "idle:1"]);
    engine.docker(&["rm", "-f", "before"]);
    proxy.mend().await;
    engine.docker(&["run", "-d", "--name", "after", "idle:1"]);
    events.until(instance_event("after", "started")).await;

    let path = "/api/events?type=instance_status,watch_gap&limit=500";
    let told = server.json(path).await;
    let told = told["items"].as_array().expect("items");
    let reasons = |name: &str| -> Vec<&str> {
        let of_name = told.iter().filter(|event| event["payload"]["name"] == name);
        of_name
            .filter_map(|event| event["payload"]["reason"].as_str())
            // Told unless a comparison was quicker.
            .filter(|reason| *reason != "created")
            .collect()
    };
    assert_eq!(reasons("meanwhile"), ["started"]);
    assert_eq!(reasons("before"), ["started", "stopped", "removed"]);
    assert!(
        told.iter().all(|event| event["type"] != "watch_gap"),
        "{told:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_server_starts_without_an_engine_and_connects_when_it_appears() {
    let engine = Engine::start();
    engine.stop();
    let server = Server::with_engine(&engine.address()).await;
    let mut events = server.sse("/api/events?after=0").await;
    events
        .until(|event| event["payload"]["what"] == "started")
        .await;
    let state = server.json("/api/status").await;
    assert_ne!(state["engine"]["state"], "connected");
    engine.start_again();
    events
        .until(|event| event["payload"]["what"] == "engine_connected")
        .await;
    server.stop().await;
}
