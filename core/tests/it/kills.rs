//! A crash at every point that matters: the server kills itself there, and a
//! new one on the same data makes it good.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tiny_forge::failpoint::Failpoint;

use crate::{
    keys::OF_KEYS,
    support::{
        data_plane::DataPlane, domains::Domains, engine::Engine, program::Program,
        registry::free_port, shared::Shared, sse::PATIENCE, wait,
    },
};

/// Every failpoint is in one of these two, or of steps or the key, and so in one of the tests.
pub const OF_DELIVERIES: [Failpoint; 6] = [
    Failpoint::EventsCommitted,
    Failpoint::EventsDecided,
    Failpoint::DeliveryHandedOver,
    Failpoint::DecisionsStored,
    Failpoint::DeliveryAttempted,
    Failpoint::DeliveryRecorded,
];
const OF_DEPLOYS: [Failpoint; 2] = [Failpoint::DeployActed, Failpoint::DeployWritten];

#[test]
fn no_failpoint_is_left_out() {
    let covered = OF_DELIVERIES
        .iter()
        .chain(&[Failpoint::StepAnswered])
        .chain(&OF_DEPLOYS)
        .chain(&OF_KEYS);
    for point in Failpoint::ALL {
        assert!(covered.clone().any(|one| *one == point), "{}", point.name());
    }
}

#[tokio::test]
async fn a_kill_after_any_word_of_the_engine_in_a_deploy_is_made_good() {
    let point = Failpoint::DeployActed;
    survives_everywhere("kill-acted", point, json!({}), succeeded).await;
}

#[tokio::test]
async fn a_kill_after_anything_that_a_deploy_writes_is_made_good() {
    let point = Failpoint::DeployWritten;
    survives_everywhere("kill-written", point, json!({}), succeeded).await;
}

#[tokio::test]
async fn a_kill_anywhere_in_a_deploy_that_publishes_a_port_is_made_good() {
    for point in OF_DEPLOYS {
        let project = format!("kill-port-{}", point.name().replace('_', "-"));
        let mut base = with_port("stop-first");
        base["image"] = json!("idle:1");
        base["health"] = json!({"min_uptime_ms": 200});
        survives_from(&project, point, base, json!({}), succeeded).await;
    }
}

#[tokio::test]
async fn a_kill_anywhere_in_a_deploy_behind_a_held_port_is_made_good() {
    for point in OF_DEPLOYS {
        let project = format!("kill-held-{}", point.name().replace('_', "-"));
        let change = json!({"env": [{"name": "WORD", "value": "two"}]});
        survives_from(&project, point, with_domain(), change, succeeded).await;
    }
}

#[tokio::test]
async fn a_kill_anywhere_on_the_way_back_behind_a_held_port_is_made_good() {
    let ends = |deploy: &Value| deploy["status"] == "rolled_back" || deploy["status"] == "failed";
    for point in OF_DEPLOYS {
        let project = format!("kill-held-back-{}", point.name().replace('_', "-"));
        let change = json!({"entrypoint": ["/bin/busybox"], "bake_ms": 60_000,
            "command": ["sh", "-c", "httpd -p 80; sleep 2; exit 3"]});
        survives_from(&project, point, with_domain(), change, ends).await;
    }
}

fn with_port(routing: &str) -> Value {
    let port = json!({"host": free_port(), "container": 80, "host_ip": "127.0.0.1"});
    json!({"image": Shared::get().web, "pull": "missing", "stop_grace_ms": 1000, "bake_ms": 300,
        "drain_ms": 300, "health": {"http": {"port": 80, "expect_status": 200}},
        "env": [{"name": "WORD", "value": "one"}], "ports": [port], "routing": routing})
}

/// The way to it leads through everything that there is.
fn with_domain() -> Value {
    let mut spec = with_port("port-hold");
    spec["domains"] = json!([{"name": "kill.example", "port": 80}]);
    spec
}

#[tokio::test]
async fn a_kill_anywhere_on_the_way_back_from_what_does_not_last_is_made_good() {
    let crashes = json!({"entrypoint": ["/bin/busybox"], "command": ["sh", "-c", "sleep 3; exit 3"],
        "bake_ms": 60_000});
    // A server that comes late finds it dead before it served.
    let ends = |deploy: &Value| {
        ["rolled_back", "failed"]
            .iter()
            .any(|it| deploy["status"] == *it)
    };
    for point in OF_DEPLOYS {
        let project = format!("kill-back-{}", point.name().replace('_', "-"));
        survives_everywhere(&project, point, crashes.clone(), ends).await;
    }
}

#[tokio::test]
async fn a_kill_after_a_gate_has_failed_hides_not_why() {
    let deaf = json!({"health": {"tcp": {"port": 9}, "timeout_ms": 1000}});
    let ends = |deploy: &Value| {
        let reason = deploy["reason"].as_str().unwrap_or_default();
        deploy["status"] == "failed" && reason.contains("after 1 s")
    };
    survives_everywhere("kill-deaf", Failpoint::DeployActed, deaf, ends).await;
}

fn succeeded(deploy: &Value) -> bool {
    deploy["status"] == "succeeded"
}

async fn survives_everywhere(
    project: &str,
    point: Failpoint,
    change: Value,
    ends: fn(&Value) -> bool,
) {
    survives_from(project, point, idle(), change, ends).await;
}

/// Dies at the first passing of `point`, the second, … until a deploy of the changed
/// project comes through. Each ends as it is to. Whatever is passed is found
/// by that.
async fn survives_from(
    project: &str,
    point: Failpoint,
    mut spec: Value,
    change: Value,
    ends: fn(&Value) -> bool,
) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let _data_plane = DataPlane::of(dir.path());
    let engine = &Shared::get().engine;
    let (domains, address) = (Domains::on_free_ports(), engine.address());
    let serve = async || Program::serve_as(dir.path(), &address, &domains.binary()).await;
    let first = serve().await;
    make_project(&first, project, &spec).await;
    assert_eq!(deployed(&first, project).await["status"], "succeeded");
    for (field, value) in change.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    set_spec(&first, project, &spec).await;
    first.signal(rustix::process::Signal::KILL);
    first.ended().await;
    for time in 1.. {
        let failpoint = format!("{}:{time}", point.name());
        let binary = domains.binary();
        let doomed = Program::serve_armed_as(dir.path(), &address, binary, &failpoint).await;
        let doomed = doomed.expect("no deploy has begun");
        let before = spec.clone();
        if let Some(name) = spec.pointer_mut("/domains/0/name") {
            // In each deploy it changes.
            *name = json!(format!("kill-{time}.example"));
            set_spec(&doomed, project, &spec).await;
        }
        let through = match start_deploy(&doomed, project).await {
            Some(id) => ends_or_dies(&doomed, id).await,
            None => None,
        };
        if let Some(deploy) = through {
            assert!(ends(&deploy), "{failpoint}: {deploy}");
            assert!(time > 10, "{failpoint}: a deploy passes it more often");
            doomed.signal(rustix::process::Signal::KILL);
            doomed.ended().await;
            println!("{project}: killed at {} points", time - 1);
            return;
        }
        doomed.ended().await;
        let saved = serve().await;
        let deploy = newest_ended(&saved, project).await;
        assert!(ends(&deploy), "{failpoint}: {deploy}");
        one_serves(engine, &saved, project, &failpoint).await;
        if deploy["status"] != "succeeded" {
            spec = before;
        }
        if let Some(name) = spec["domains"][0]["name"].as_str() {
            let said = wait::answer(async || domains.said(name, dir.path()).await).await;
            assert!(said.is_some(), "{failpoint}: nobody answers at {name}");
        }
        saved.signal(rustix::process::Signal::KILL);
        saved.ended().await;
    }
}

/// The store and the engine agree on the one instance that serves.
pub async fn one_serves(engine: &Engine, program: &Program, project: &str, failpoint: &str) {
    let label = format!("label=tiny-forge.project={project}");
    let running = || {
        let listed = engine.docker(&["ps", "--filter", &label, "--format", "{{.Names}}"]);
        listed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let path = format!("/api/projects/{project}");
    let settled = until(program, &path, |shown| {
        let lane = &shown["stages"][0];
        let generation = lane["generation"].as_i64().expect("it has served before");
        lane["active_deploy"].is_null() && running() == [format!("{project}-prod-{generation}-0")]
    });
    assert!(
        tokio::time::timeout(PATIENCE / 2, settled).await.is_ok(),
        "{failpoint}: {:?} run",
        running()
    );
    let lane = &get(program, &path).await.expect("it lives")["stages"][0];
    if lane["spec"]["routing"] == "port-hold" && lane["spec"]["ports"][0].is_object() {
        let port = &lane["spec"]["ports"][0]["host"];
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/")).await;
        let status = answer.map(|answer| answer.status());
        assert_eq!(status.ok(), Some(StatusCode::OK), "{failpoint}");
    }
}

fn idle() -> Value {
    json!({"image": "idle:1", "pull": "never", "stop_grace_ms": 1000, "bake_ms": 300,
        "health": {"min_uptime_ms": 200}})
}

pub async fn make_project(program: &Program, project: &str, spec: &Value) {
    let body = json!({"name": project, "spec": spec});
    let post = program
        .http
        .post(format!("{}/api/projects", program.address));
    let answer = post.json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::CREATED);
}

pub async fn set_spec(program: &Program, project: &str, spec: &Value) {
    let url = format!("{}/api/projects/{project}/stages/prod", program.address);
    let put = program.http.put(url).json(&json!({ "spec": spec }));
    let answer = put.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
}

/// None if the server died of it.
pub async fn start_deploy(program: &Program, project: &str) -> Option<i64> {
    until(program, "/api/status", |status| {
        status["engine"]["state"] == "connected"
    })
    .await;
    let url = format!("{}/api/projects/{project}/deploys", program.address);
    let answer = program.http.post(url).json(&json!({})).send().await.ok()?;
    let deploy: Value = answer.json().await.ok()?;
    Some(deploy["id"].as_i64().expect("an id"))
}

pub async fn newest_ended(program: &Program, project: &str) -> Value {
    let path = format!("/api/deploys?project={project}&limit=1");
    let ended = until(program, &path, |all| {
        is_terminal(&all["items"][0]["status"])
    });
    ended.await["items"][0].clone()
}

async fn deployed(program: &Program, project: &str) -> Value {
    let id = start_deploy(program, project).await.expect("it lives");
    ended(program, id).await
}

pub async fn ended(program: &Program, id: i64) -> Value {
    let terminal = |deploy: &Value| is_terminal(&deploy["status"]);
    until(program, &format!("/api/deploys/{id}"), terminal).await
}

/// The deploy at its end, or nothing if the server died on the way.
async fn ends_or_dies(program: &Program, id: i64) -> Option<Value> {
    let ended = wait::answer(async || {
        let deploy = get(program, &format!("/api/deploys/{id}")).await;
        let goes_on = |deploy: &Value| !is_terminal(&deploy["status"]);
        (!deploy.as_ref().is_some_and(goes_on)).then_some(deploy)
    });
    ended.await.expect("an end in time")
}

fn is_terminal(status: &Value) -> bool {
    ["succeeded", "failed", "cancelled", "rolled_back"]
        .iter()
        .any(|one| status == one)
}

pub async fn until(program: &Program, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = wait::answer(async || {
        last = get(program, path).await.expect("the server lives");
        wanted(&last).then(|| last.clone())
    });
    let found = found.await;
    found.unwrap_or_else(|| panic!("{path} stays as it is: {last}"))
}

pub async fn get(program: &Program, path: &str) -> Option<Value> {
    let get = program.http.get(format!("{}{path}", program.address));
    let answer = get.header("accept", "application/json").send().await.ok()?;
    answer.json().await.ok()
}

pub fn names(items: &Value) -> impl Iterator<Item = String> {
    let items = items.as_array().expect("items").iter();
    items.map(|item| item["name"].as_str().expect("a name").to_owned())
}
