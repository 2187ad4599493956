//! Deploys on a real engine, from a real registry.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    bench::{bench, bench_where, bench_with},
    note::note,
    server::Server,
    shared::{Shared, WEB},
    sse::Sse,
    wait,
};

#[tokio::test]
async fn a_deploy_from_a_registry_says_each_step_and_ends_healthy() {
    // Of its own, so that its layer has to be pulled.
    let Shared {
        engine, registry, ..
    } = Shared::get();
    let image = registry.push_busybox(engine, "fresh:1", &format!("{WEB} # fresh"));
    let bench = bench_with(&image).await;
    bench.project("fresh", |_| {}).await;
    let deploy = bench.deploy("fresh").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert_eq!(deploy["strategy"], "start-first");
    assert!(
        deploy["digest"]
            .as_str()
            .is_some_and(|digest| digest.starts_with("sha256:"))
    );
    let steps = deploy["steps"].as_array().expect("steps");
    let names: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "plan", "pull", "create", "start", "gate", "replace", "retire"
        ]
    );
    for step in steps {
        assert_eq!(step["status"], "succeeded", "{step}");
        assert!(step["duration_ms"].is_u64(), "{step}");
    }
    assert!(bench.log(&deploy["id"]).await.contains("hello from one"));
    let path = format!("/api/events?deploy={}&type=deploy_status", deploy["id"]);
    let events = bench.server.json(&path).await;
    let progress = events["items"].as_array().expect("items").iter();
    let bytes = progress.filter_map(|event| event["payload"]["progress"]["total_bytes"].as_u64());
    assert!(bytes.max() > Some(0), "the pull told its bytes");
    let project = bench.server.json("/api/projects/fresh").await;
    assert_eq!(project["stages"][0]["generation"], 1);
    assert_eq!(bench.running("fresh"), "fresh-prod-1-0");
    let policy = bench.engine.docker(&[
        "inspect",
        "fresh-prod-1-0",
        "--format",
        "{{.HostConfig.RestartPolicy.Name}}",
    ]);
    assert_eq!(policy, "unless-stopped", "it is promoted once it serves");
    bench.server.stop().await;
}

#[tokio::test]
async fn one_stream_carries_the_logs_of_a_deploy_besides_what_it_is_filtered_to() {
    let bench = bench().await;
    bench.project("tail", |_| {}).await;
    let id = bench.start("tail").await;
    let path = format!("/api/events?type=instance_status&instance=tail-prod-1-0&logs={id}&after=0");
    let mut live = bench.server.sse(&path).await;
    live.until(|event| event["payload"]["line"] == "hello from one")
        .await;
    bench.ended(id).await;
    let mut seen = Vec::new();
    let mut replayed = bench.server.sse(&path).await;
    let started = replayed
        .until(|event| {
            seen.push(event["type"].clone());
            event["payload"]["line"] == "hello from one"
        })
        .await;
    assert_eq!(started["payload"]["deploy_id"], id);
    assert!(
        seen.iter()
            .all(|kind| ["instance_status", "deploy_log"].contains(&kind.as_str().unwrap_or(""))),
        "{seen:?}"
    );
    bench.server.stop().await;
}

#[tokio::test]
async fn a_container_of_others_that_has_the_name_is_named_and_left_alone() {
    let bench = bench().await;
    bench.project("namesake", |_| {}).await;
    // As a create that a crash interrupted leaves it, but not ours.
    let name = "namesake-prod-1-0";
    let others = bench.engine.docker(&["create", "--name", name, "idle:1"]);
    let deploy = bench.deploy("namesake").await;
    assert_eq!(deploy["status"], "failed", "{deploy}");
    let reason = deploy["reason"].as_str().expect("a reason");
    assert!(
        reason.contains(name) && reason.contains("rename"),
        "{reason}"
    );
    let left = ["inspect", name, "--format", "{{.Id}}"];
    assert_eq!(bench.engine.docker(&left), others);
    bench.engine.docker(&["rm", name]);
    assert_eq!(bench.deploy("namesake").await["status"], "succeeded");
    bench.server.stop().await;
}

#[tokio::test]
async fn all_of_a_specification_reaches_the_container() {
    let bench = bench().await;
    for network in ["whole-a", "whole-b"] {
        bench.engine.docker(&["network", "create", network]);
    }
    bench
        .project("whole", |spec| {
            spec["command"] = json!(["sh", "-c", "sleep 600"]);
            spec["entrypoint"] = json!(["/bin/busybox"]);
            spec["labels"] = json!({"team": "blue"});
            spec["networks"] = json!(["whole-a", "whole-b"]);
            spec["volumes"] =
                json!([{"source": "whole-data", "target": "/data", "read_only": true}]);
            spec["restart"] = json!("on-failure");
            spec["limits"] = json!({"memory_bytes": 67_108_864, "cpus": 0.5, "pids": 50});
            spec["health"] = json!({"min_uptime_ms": 100, "docker": {
                "test": ["CMD", "true"], "interval_ms": 500, "retries": 2}});
        })
        .await;
    let deploy = bench.deploy("whole").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    let inspected = bench.engine.docker(&["inspect", "whole-prod-1-0"]);
    let found: Value = serde_json::from_str(&inspected).expect("JSON");
    for (pointer, expected) in [
        ("/0/Config/Cmd", json!(["sh", "-c", "sleep 600"])),
        ("/0/Config/Entrypoint", json!(["/bin/busybox"])),
        ("/0/Config/Labels/team", json!("blue")),
        ("/0/Config/Labels/tiny-forge.project", json!("whole")),
        ("/0/Config/Healthcheck/Interval", json!(500_000_000)),
        ("/0/HostConfig/Binds", json!(["whole-data:/data:ro"])),
        ("/0/HostConfig/RestartPolicy/Name", json!("on-failure")),
        ("/0/HostConfig/Memory", json!(67_108_864)),
        ("/0/HostConfig/NanoCpus", json!(500_000_000)),
        ("/0/HostConfig/PidsLimit", json!(50)),
    ] {
        assert_eq!(found.pointer(pointer), Some(&expected), "{pointer}");
    }
    let networks = found.pointer("/0/NetworkSettings/Networks");
    let networks = networks.and_then(Value::as_object).expect("networks");
    assert!(networks.keys().eq(["whole-a", "whole-b"]), "{networks:?}");
    let env = found.pointer("/0/Config/Env").expect("variables");
    assert!(env.to_string().contains("WORD=one"), "{env}");

    // A deploy keeps what it ran, whatever the project says later.
    bench
        .update("whole", |spec| spec["limits"] = json!({}))
        .await;
    let path = format!("/api/deploys/{}", deploy["id"]);
    assert_eq!(bench.server.json(&path).await["spec"]["limits"]["pids"], 50);
    bench.server.stop().await;
}

#[tokio::test]
async fn a_log_is_a_page_by_default_a_stream_on_request_and_ends_with_its_deploy() {
    let bench = bench().await;
    bench.project("told", |_| {}).await;
    let deploy = bench.deploy("told").await;
    let logs = format!("/api/deploys/{}/logs", deploy["id"]);
    let (mut lines, mut after) = (Vec::new(), String::new());
    loop {
        let page = bench
            .server
            .json(&format!("{logs}?limit=2&after={after}"))
            .await;
        assert_eq!(page["ended"], true);
        lines.extend(page["items"].as_array().expect("items").clone());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        next.clone_into(&mut after);
    }
    let spoken = |line: &&Value| line["line"] == "hello from one" && line["stream"] == "stdout";
    assert_eq!(lines.iter().filter(spoken).count(), 1, "{lines:?}");

    let mut stream = bench.server.sse(&logs).await;
    let mut streamed = 0;
    let end = loop {
        let frame = stream.frame().await.expect("an end before the end");
        streamed += usize::from(frame.data.contains("\"deploy_log\""));
        if frame.event == "end" {
            break stream.last_id.clone();
        }
    };
    assert_eq!(streamed, lines.len());
    assert!(
        stream.frame().await.is_none(),
        "nothing comes after the end"
    );
    // A browser that comes back after the end is told at once not to.
    let url = bench.server.url(&logs);
    let again = bench
        .server
        .http
        .get(url)
        .header("accept", "text/event-stream");
    let again = again.header("last-event-id", end).send().await;
    let again = again.expect("an answer").text().await.expect("text");
    assert!(again.starts_with("event: end"), "{again}");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_deploys_log_is_streamed_to_its_end_whatever_else_has_happened_since() {
    let bench = bench_where(|args| args.events_max = Some("1000".into())).await;
    bench.project("quiet", |_| {}).await;
    let deploy = bench.deploy("quiet").await;
    let logs = format!("/api/deploys/{}/logs", deploy["id"]);
    let lines = |page: &Value| page["items"].as_array().expect("lines").len();
    let before = lines(&bench.server.json(&logs).await);
    // A flood of another type, that retention takes away again.
    let flood = (0..2_000).map(|n| note(&n.to_string())).collect();
    bench
        .server
        .bus()
        .publish_all(flood)
        .await
        .expect("published");
    let server = bench.server.restart().await;
    let trimmed = wait::answer(async || {
        let page = server.json("/api/events?type=system&limit=1").await;
        (page["oldest"]["id"].as_i64()? > 500).then_some(())
    });
    trimmed.await.expect("retention works");

    let mut stream = server.sse(&logs).await;
    let mut seen = Vec::new();
    while let Some(frame) = stream.frame().await {
        seen.push(frame.event);
    }
    assert_eq!(seen.last().map(String::as_str), Some("end"), "{seen:?}");
    assert!(seen.iter().filter(|it| *it == "message").count() > before);
    assert!(!seen.contains(&"reset".to_owned()), "{seen:?}");

    // Who remembers another history is told so, and then that there is no more.
    let mut stream = Sse::open(&server.http, &server.url(&logs), Some("jother-99999")).await;
    let reset = stream.frame().await.expect("a reset");
    assert_eq!(reset.event, "reset");
    assert!(stream.frame().await.is_none(), "it resumes from there");
    let again = server
        .http
        .get(server.url(&logs))
        .header("accept", "text/event-stream");
    let again = again.header("last-event-id", stream.last_id).send().await;
    let again = again.expect("an answer").text().await.expect("text");
    assert!(again.starts_with("event: end"), "{again}");
    server.stop().await;
}

#[tokio::test]
async fn a_secret_reaches_the_container_and_nothing_else() {
    const CANARY: &str = "canary-4f1c-secret";
    let bench = bench().await;
    bench
        .project("vault", |spec| {
            spec["env"] = json!([{"name": "WORD", "value": CANARY, "secret": true}]);
            spec["health"] = json!({"http": {"port": 80}});
        })
        .await;
    let deploy = bench.deploy("vault").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    let inside = bench
        .engine
        .docker(&["exec", "vault-prod-1-0", "cat", "/www/index.html"]);
    assert_eq!(inside, CANARY, "the container has it");
    let log = bench.log(&deploy["id"]).await;
    assert!(log.contains("hello from (secret)"), "{log}");
    for path in [
        "/api/projects/vault",
        "/api/instances",
        "/api/events?type=deploy_log,deploy_status,instance_status,project_status&limit=500",
    ] {
        assert!(
            !bench.server.json(path).await.to_string().contains(CANARY),
            "{path}"
        );
    }
    // A PUT without its value keeps it.
    bench.update("vault", |_| {}).await;
    assert_eq!(bench.deploy("vault").await["status"], "succeeded");
    let data = bench.server.dir.path().join("data");
    for name in ["tiny-forge.db", "tiny-forge.db-wal"] {
        let bytes = std::fs::read(data.join(name)).expect("the database");
        let found = bytes
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes());
        assert!(!found, "{name} holds the secret in clear");
    }
    bench.server.stop().await;
}

#[tokio::test]
async fn a_specification_that_cannot_work_is_refused_field_by_field() {
    let server = Server::start().await;
    let spec = json!({"image": "", "ports": [{"container": 80, "host": 1}, {"container": 81, "host": 1}],
        "env": [{"name": "A"}], "labels": {"tiny-forge.x": "y"}});
    let (status, problem) = server
        .post("/api/projects", &json!({"name": "bad", "spec": spec}))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<&str> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "/spec/image",
            "/spec/env/0/value",
            "/spec/ports/1/host",
            "/spec/labels/tiny-forge.x"
        ]
    );
    let (status, problem) = server
        .post(
            "/api/projects",
            &json!({"name": "Bad Name", "spec": {"image": "a"}}),
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("Bad Name"))
    );
    server.stop().await;
}
