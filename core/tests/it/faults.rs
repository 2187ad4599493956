//! What a machine does to a server.

use std::{fs, path::Path, process::Command};

use rustix::process::Signal;
use serde_json::{Value, json};
use tiny_forge::{
    events::{Filter, Start},
    model::EventId,
    store::StoreError,
};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{
    bench::Bench,
    binary::Binary,
    disk::SmallDisk,
    journal::{Journal, take},
    note::note,
    program::{NO_ENGINE, Program},
    server::Server,
    shared::Shared,
    sse::PATIENCE,
    wait,
};

#[tokio::test]
async fn a_full_disk_is_answered_by_its_name_and_nothing_acknowledged_is_lost() {
    let mut disk = None;
    let server = Server::configured(|dir, _| disk = Some(SmallDisk::mount(dir.join("data")))).await;
    let disk = disk.expect("mounted");
    let mut made = Vec::new();
    let mut create = async |name: String| {
        let body = json!({"name": name, "spec": {"image": "app:1"}});
        let (status, answer) = server.post("/api/projects", &body).await;
        if status == 201 {
            made.push(name);
        }
        (status.as_u16(), answer)
    };
    assert_eq!(create("first".into()).await.0, 201);
    disk.fill();
    // What has been allocated before still takes some.
    let mut number = 0;
    let refused = loop {
        number += 1;
        let (status, answer) = create(format!("p{number}")).await;
        if status != 201 {
            break answer;
        }
    };
    assert_eq!(refused["status"], 503, "{refused}");
    assert!(refused["detail"].to_string().contains("disk"), "{refused}");
    // A checkpoint may make room in the log once more, but not for ever.
    let mut again = 0;
    while create(format!("again{again}")).await.0 != 503 {
        again += 1;
    }
    assert_eq!(
        server
            .get("/healthz")
            .send()
            .await
            .expect("an answer")
            .status(),
        200
    );

    disk.free();
    assert_eq!(create("last".into()).await.0, 201, "it recovers by itself");
    let mut listed = Vec::new();
    for project in server.json("/api/projects").await["items"]
        .as_array()
        .expect("items")
    {
        listed.push(project["name"].as_str().expect("a name").to_owned());
    }
    made.sort();
    assert_eq!(listed, made);
    let events = server
        .json("/api/events?type=project_status&limit=500")
        .await;
    assert_eq!(events["items"].as_array().map(Vec::len), Some(made.len()));
    server.stop().await;
}

#[tokio::test]
async fn publishing_on_a_full_disk_is_refused_and_shows_nothing_that_is_not_stored() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let disk = SmallDisk::mount(dir.path().join("data"));
    let journal = Journal::at(tempfile::tempdir_in(&disk.0).expect("a directory"));
    let mut live = journal.bus.subscribe(Filter::default(), Start::Live);
    disk.fill();
    let mut published = 0;
    let error = loop {
        let receipt = journal.bus.publish(note(&"x".repeat(10_000)));
        match receipt
            .expect("there is room in the queue")
            .committed()
            .await
        {
            Ok(id) => published = id.0,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull), "{error}");
    let together = vec![note("a"), note(&"x".repeat(10_000)), note("b")];
    let error = journal.bus.publish_all(together).await;
    assert!(matches!(error, Err(StoreError::DiskFull)), "{error:?}");
    assert_eq!(journal.bus.head().id, EventId(published));

    disk.free();
    let receipt = journal.bus.publish(note("there is room"));
    let id = receipt
        .expect("room")
        .committed()
        .await
        .expect("it goes on");
    assert_eq!(id, EventId(published + 1), "no hole");
    let expected: Vec<i64> = (1..=published + 1).collect();
    assert_eq!(take(&mut live, expected.len()).await, expected);
    drop(live);
    let journal = journal.reopen();
    let all = Start::After(EventId(0));
    let mut all = journal.bus.subscribe(Filter::default(), all);
    assert_eq!(take(&mut all, expected.len()).await, expected);
}

#[tokio::test]
async fn a_kill_while_the_disk_is_full_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let disk = SmallDisk::mount(dir.path().join("data"));
    let program = Program::serve(&disk.0).await;
    program.create_project("first").await;
    disk.fill();
    let mut made = vec!["first".to_owned()];
    for number in 0.. {
        let name = format!("p{number}");
        let body = json!({"name": name, "spec": {"image": "app:1"}});
        let url = format!("{}/api/projects", program.address);
        let answer = program.http.post(url).json(&body).send().await;
        match answer.expect("an answer").status().as_u16() {
            201 => made.push(name),
            status => {
                assert_eq!(status, 503);
                break;
            }
        }
    }
    let status = program.json("/api/status").await;
    program.end(Signal::KILL).await;

    disk.free();
    let program = Program::serve(&disk.0).await;
    assert_eq!(
        program.json("/api/status").await["journal"]["name"],
        status["journal"]["name"]
    );
    let items = program.json("/api/projects").await["items"].clone();
    let listed = items.as_array().expect("items").iter();
    let listed: Vec<&str> = listed.filter_map(|item| item["name"].as_str()).collect();
    made.sort();
    assert_eq!(listed, made);
    program.create_project("last").await;
    program.end(Signal::TERM).await;
}

/// A server with an engine, on a small disk.
async fn on_a_small_disk() -> (Bench, SmallDisk) {
    let mut disk = None;
    let engine = &Shared::get().engine;
    let server = Server::configured(|dir, args| {
        disk = Some(SmallDisk::mount(dir.join("data")));
        args.engine = Some(engine.address());
    });
    let server = server.await;
    let mut events = server.sse("/api/events?after=0").await;
    events
        .until(|event| event["payload"]["what"] == "engine_connected")
        .await;
    let web = Shared::get().web.clone();
    let bench = Bench {
        engine,
        server,
        web,
    };
    (bench, disk.expect("mounted"))
}

/// Until nothing can be written any more.
async fn fill(server: &Server, disk: &SmallDisk) {
    disk.fill();
    let large = || vec![note(&"x".repeat(2_000))];
    while server.bus().publish_all(large()).await.is_ok() {}
}

#[tokio::test]
async fn what_an_instance_says_while_the_disk_is_full_is_in_the_log_of_its_deploy() {
    let (bench, disk) = on_a_small_disk().await;
    let counts = "i=0; while :; do i=$((i+1)); echo number $i; sleep 0.05; done";
    let spec = |spec: &mut Value| {
        spec["entrypoint"] = json!(["/bin/busybox"]);
        spec["command"] = json!(["sh", "-c", counts]);
        spec["health"] = json!({"min_uptime_ms": 60_000});
    };
    bench.project("talks", spec).await;
    let id = bench.start("talks").await;
    let mut live = bench.server.sse(&format!("/api/deploys/{id}/logs")).await;
    live.until(|event| event["payload"]["line"] == "number 5")
        .await;
    fill(&bench.server, &disk).await;
    let said = || {
        let logs = bench.engine.docker(&["logs", "talks-prod-1-0"]);
        logs.lines().count()
    };
    let before = said();
    let waited = wait::answer(async || (said() > before + 30).then_some(()));
    waited.await.expect("it goes on talking");
    disk.free();
    // What was said while nothing could be written, and after that.
    let last = format!("number {}", before + 40);
    live.until(|event| event["payload"]["line"] == last).await;
    bench.cancel(id).await;
    bench.ended(id).await;
    let log = bench.log(&json!(id)).await;
    let numbers = log.lines().filter_map(|line| line.split("number ").nth(1));
    let numbers: Vec<usize> = numbers.filter_map(|it| it.trim().parse().ok()).collect();
    let all: Vec<usize> = (1..=numbers.len()).collect();
    assert_eq!(numbers, all);
    assert!(numbers.len() >= before + 40, "{log}");
    bench.server.stop().await;
}

/// The program on a disk whose quota is used up while the file `switch` is there.
fn with_quota(folder: &Path, switch: &Path) -> Binary {
    let library = folder.join("quota.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    compiler.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/support/quota.c"
    ));
    assert!(compiler.status().expect("a C compiler").success());
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    Binary::new()
        .with("LD_PRELOAD", &text(&library))
        .with("QUOTA_USED_UP", &text(switch))
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_answered_as_a_full_disk_is() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let switch = dir.path().join("used-up");
    let binary = with_quota(dir.path(), &switch);
    let program = Program::serve_as(&dir.path().join("data"), NO_ENGINE, &binary).await;
    program.create_project("first").await;
    fs::write(&switch, "").expect("written");
    for name in ["second", "third"] {
        let body = json!({"name": name, "spec": {"image": "app:1"}});
        let url = format!("{}/api/projects", program.address);
        let answer = program.http.post(url).json(&body).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 503);
        let problem: Value = answer.json().await.expect("JSON");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(
            detail.contains("quota") && detail.contains("make room"),
            "{detail}"
        );
    }
    fs::remove_file(&switch).expect("there is room");
    program.create_project("last").await;
    let items = program.json("/api/projects").await["items"].clone();
    let listed = items.as_array().expect("items").iter();
    let listed: Vec<&str> = listed.filter_map(|item| item["name"].as_str()).collect();
    assert_eq!(listed, ["first", "last"]);
    program.end(Signal::TERM).await;
}

#[tokio::test]
async fn what_happens_to_instances_while_nothing_can_be_written_is_found_and_the_gap_is_told() {
    let engine = &Shared::get().engine;
    let dir = tempfile::tempdir().expect("temporary directory");
    let switch = dir.path().join("used-up");
    let binary = with_quota(dir.path(), &switch);
    let data = dir.path().join("data");
    let program = Program::serve_as(&data, &engine.address(), &binary).await;
    let mut events = program.sse("/api/events?after=0", None).await;
    let told = |name: &'static str, reason: &'static str| {
        move |event: &Value| {
            event["payload"]["name"] == name && event["payload"]["reason"] == reason
        }
    };
    engine.docker(&["run", "-d", "--name", "leaves", "idle:1"]);
    events.until(told("leaves", "started")).await;
    let deaf = ["idle:1", "sh", "-c", "while :; do sleep 1; done"];
    engine.docker(&[&["run", "-d", "--name", "deaf"], &deaf[..]].concat());
    events.until(told("deaf", "started")).await;
    fs::write(&switch, "").expect("written");
    engine.docker(&["rm", "-f", "leaves"]);
    engine.docker(&["stop", "-t", "1", "deaf"]);
    // The watcher has long been told when the engine has answered this often.
    for _ in 0..20 {
        engine.docker(&["ps", "--quiet"]);
    }
    fs::remove_file(&switch).expect("there is room");
    engine.docker(&["run", "-d", "--name", "comes", "idle:1"]);
    let gap = events.until(|event| event["type"] == "watch_gap").await;
    let reason = &gap["payload"]["reason"];
    assert_eq!(reason, "what was seen could not be written");
    let mut is_of_deaf = |event: &Value| event["payload"]["name"] == "deaf";
    let stopped = events.until(&mut is_of_deaf).await;
    assert_eq!(stopped["payload"]["reason"], "stopped", "{stopped}");
    let removed = events.until(told("leaves", "removed")).await;
    assert_eq!(removed["payload"]["source"], "resync");
    let listed = wait::answer(async || {
        let listed = program.json("/api/instances").await.to_string();
        listed.contains("\"comes\"").then_some(listed)
    });
    let listed = listed.await.expect("it is known by its own hints");
    assert!(!listed.contains("\"leaves\""), "{listed}");
    engine.docker(&["rm", "-f", "comes", "deaf"]);
    program.end(Signal::TERM).await;
}

/// Starts on what is there. `None` if it serves, else what it has said.
async fn refused_to_start(disk: &SmallDisk, log: &Path) -> Option<String> {
    let binary = Binary::new().logging_to(log);
    let data = disk.0.to_str().expect("UTF-8");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", data];
    let mut child = binary.spawn(&[&serve[..], &["--engine", NO_ENGINE]].concat());
    let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let line = tokio::time::timeout(PATIENCE, said.next_line()).await;
    match line.expect("it starts or ends in time").expect("a pipe") {
        Some(line) => {
            let address = line.strip_prefix("tiny-forge listens on ");
            let healthz = format!("{}/healthz", address.expect("an address"));
            let healthy = reqwest::get(healthz).await.expect("an answer");
            assert_eq!(healthy.status(), 200);
            None
        }
        None => {
            let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
            let status = ended.expect("it ends in time").expect("our child");
            assert_eq!(status.code(), Some(1));
            Some(fs::read_to_string(log).expect("its log"))
        }
    }
}

#[tokio::test]
async fn a_start_on_a_full_disk_serves_or_says_that_the_disk_is_full() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let log = dir.path().join("log");
    for lived_before in [false, true] {
        let disk = SmallDisk::mount(dir.path().join(format!("data-{lived_before}")));
        if lived_before {
            Program::serve(&disk.0).await.end(Signal::TERM).await;
        }
        disk.fill();
        if let Some(said) = refused_to_start(&disk, &log).await {
            assert!(said.contains("disk"), "{said}");
        }
        disk.free();
        let program = Program::serve(&disk.0).await;
        program.create_project("there-is-room").await;
        program.end(Signal::TERM).await;
    }
}
