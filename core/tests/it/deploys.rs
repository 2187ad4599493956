//! Deploys on a real engine, from a real registry.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    engine::Engine,
    registry::free_port,
    server::Server,
    shared::{Shared, WEB},
};

struct Bench {
    engine: &'static Engine,
    server: Server,
    /// The image that projects run.
    web: String,
}

/// The shared engine, the image in the shared registry, a server.
async fn bench() -> Bench {
    bench_with(&Shared::get().web).await
}

async fn bench_with(web: &str) -> Bench {
    let engine = &Shared::get().engine;
    let server = Server::with_engine(&engine.address()).await;
    let mut events = server.sse("/api/events?after=0").await;
    events
        .until(|event| event["payload"]["what"] == "engine_connected")
        .await;
    Bench {
        engine,
        server,
        web: web.to_owned(),
    }
}

impl Bench {
    /// A project that is good as soon as it answers.
    async fn project(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut spec = json!({
            "image": self.web,
            "env": [{"name": "WORD", "value": "one"}],
            "health": {"http": {"port": 80}},
            "stop_grace_ms": 2000,
        });
        change(&mut spec);
        let (status, answer) = self
            .server
            .post("/api/projects", &json!({"name": name, "spec": spec}))
            .await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }

    async fn update(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let project = self.server.json(&format!("/api/projects/{name}")).await;
        let mut spec = project["stages"][0]["spec"].clone();
        change(&mut spec);
        let path = format!("/api/projects/{name}/stages/prod");
        let (status, answer) = self
            .server
            .send(Method::PUT, &path, &json!({ "spec": spec }))
            .await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    async fn start(&self, name: &str) -> i64 {
        let path = format!("/api/projects/{name}/deploys");
        let (status, deploy) = self.server.post(&path, &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{deploy}");
        deploy["id"].as_i64().expect("an id")
    }

    /// Follows a deploy to its end; the deploy as it is then.
    async fn ended(&self, id: i64) -> Value {
        let mut log = self.server.sse(&format!("/api/deploys/{id}/logs")).await;
        while log.event().await.is_some() {}
        self.server.json(&format!("/api/deploys/{id}")).await
    }

    async fn deploy(&self, name: &str) -> Value {
        let id = self.start(name).await;
        self.ended(id).await
    }

    /// Names and restart policies of the running containers of a project.
    fn running(&self, project: &str) -> String {
        let label = format!("label=tiny-forge.project={project}");
        self.engine
            .docker(&["ps", "--filter", &label, "--format", "{{.Names}}"])
    }

    async fn log(&self, id: &Value) -> String {
        let url = self.server.url(&format!("/api/deploys/{id}/logs.txt"));
        self.server
            .http
            .get(url)
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text")
    }
}

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
async fn whatever_goes_wrong_the_running_instance_stays_and_the_reason_is_told() {
    let bench = bench().await;
    bench.project("shop", |_| {}).await;
    assert_eq!(bench.deploy("shop").await["status"], "succeeded");
    let good = bench.server.json("/api/projects/shop").await["stages"][0]["spec"].clone();
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str, &str); 5] = [
        (
            "a missing image",
            |spec| spec["image"] = json!("127.0.0.1:1/none:1"),
            "pull",
            "127.0.0.1:1",
        ),
        (
            "an end with a code",
            |spec| spec["command"] = json!(["sh", "-c", "echo about to fail; exit 3"]),
            "gate",
            "code 3",
        ),
        (
            "a command that is not there",
            |spec| spec["command"] = json!(["/no/such/thing"]),
            "start",
            "/no/such/thing",
        ),
        (
            "ill health",
            |spec| {
                spec["health"] = json!({"docker": {
                    "test": ["CMD-SHELL", "echo not well; exit 1"],
                    "interval_ms": 1000, "timeout_ms": 1000, "retries": 1}});
            },
            "gate",
            "unhealthy",
        ),
        (
            "a probe that is refused",
            |spec| spec["health"] = json!({"tcp": {"port": 81}, "timeout_ms": 1000}),
            "gate",
            "probe",
        ),
    ];
    for (what, change, step, reason) in cases {
        bench
            .update("shop", |spec| {
                spec.clone_from(&good);
                change(spec);
            })
            .await;
        let deploy = bench.deploy("shop").await;
        assert_eq!(deploy["status"], "failed", "{what}: {deploy}");
        let failure = &deploy["failure"];
        assert_eq!(failure["step"], step, "{what}: {failure}");
        let said = failure["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{what}: {said}");
        assert_eq!(bench.running("shop"), "shop-prod-1-0", "{what}");
        match what {
            "an end with a code" => {
                assert_eq!(failure["exit_code"], 3);
                assert!(
                    failure["log_tail"].to_string().contains("about to fail"),
                    "{failure}"
                );
            }
            "ill health" => {
                assert!(
                    failure["health_output"].to_string().contains("not well"),
                    "{failure}"
                );
            }
            _ => {}
        }
    }
    bench.server.stop().await;
}

#[tokio::test]
async fn a_published_port_is_handed_over_with_said_downtime_and_given_back_on_failure() {
    let bench = bench().await;
    let port = free_port();
    let ports = json!([{"host": port, "container": 80, "host_ip": "127.0.0.1"}]);
    bench
        .project("site", |spec| spec["ports"] = ports.clone())
        .await;
    assert_eq!(bench.deploy("site").await["status"], "succeeded");
    let url = format!("http://127.0.0.1:{port}/");
    let body = || async {
        reqwest::get(&url)
            .await
            .expect("served")
            .text()
            .await
            .expect("text")
    };
    assert_eq!(body().await.trim(), "one");

    bench
        .update("site", |spec| {
            spec["env"] = json!([{"name": "WORD", "value": "two"}])
        })
        .await;
    let deploy = bench.deploy("site").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert_eq!(
        (&deploy["strategy"], &deploy["plan"]["downtime"]),
        (&json!("stop-first"), &json!(true))
    );
    assert_eq!(body().await.trim(), "two");

    bench
        .update("site", |spec| {
            spec["command"] = json!(["sh", "-c", "exit 7"])
        })
        .await;
    let deploy = bench.deploy("site").await;
    assert_eq!(deploy["status"], "failed");
    assert_eq!(deploy["failure"]["exit_code"], 7);
    let restored = deploy["steps"].as_array().expect("steps").iter();
    let restored = restored.filter(|step| step["name"] == "restore").count();
    assert_eq!(restored, 1, "{deploy}");
    assert_eq!(body().await.trim(), "two", "the old one serves again");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_port_that_somebody_else_holds_fails_by_its_number() {
    let bench = bench().await;
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = holder.local_addr().expect("bound").port();
    let ports = json!([{"host": port, "container": 80, "host_ip": "127.0.0.1"}]);
    bench
        .project("late", |spec| spec["ports"] = ports.clone())
        .await;
    let deploy = bench.deploy("late").await;
    assert_eq!(deploy["status"], "failed");
    let reason = deploy["failure"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&port.to_string()), "{reason}");
    bench.server.stop().await;
}

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
