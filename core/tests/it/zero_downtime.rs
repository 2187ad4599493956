//! Clients of a held port, or of a domain, notice nothing of deploys, nor of what happens
//! to the server, the engine and the data plane meanwhile.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    kills::{ended, make_project, set_spec, start_deploy, until},
    support::{
        binary::Binary,
        data_plane::DataPlane,
        domains::Domains,
        engine::Engine,
        image,
        program::Program,
        registry::free_port,
        traffic::{Door, Traffic},
    },
};

const DRAIN: Duration = Duration::from_secs(5);
/// Clocks of two processes.
const SLACK: Duration = Duration::from_millis(200);

/// What happens in the middle of a deploy.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Nothing,
    ServerStops,
    ServerDies,
    EngineRestarts,
    DataPlaneIsReplaced,
}

const ALL: [Meanwhile; 5] = [
    Meanwhile::Nothing,
    Meanwhile::ServerStops,
    Meanwhile::ServerDies,
    Meanwhile::EngineRestarts,
    Meanwhile::DataPlaneIsReplaced,
];

fn spec(reached: &Value, version: usize) -> Value {
    let mut spec = json!({"image": "app:1", "pull": "never",
        "command": ["/app", version.to_string(), "80"],
        "health": {"http": {"port": 80}}, "stop_grace_ms": 2000,
        "bake_ms": 2000, "drain_ms": DRAIN.as_millis()});
    for (field, value) in reached.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    spec
}

/// One of each kind, if not told otherwise.
#[allow(clippy::disallowed_methods, reason = "`make soak` says so")]
fn deploys() -> usize {
    let told = std::env::var("DEPLOYS").ok();
    told.map_or(ALL.len(), |told| told.parse().expect("a number"))
}

/// Built with the tests, beside them.
fn app() -> PathBuf {
    let this = std::env::current_exe().expect("this program");
    let built = this.parent().and_then(Path::parent).expect("its folder");
    built.join("examples/app")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_instances_server_engine_and_data_plane_are_replaced() {
    let port = free_port();
    let ports = json!([{"host": port, "container": 80, "host_ip": "127.0.0.1"}]);
    nothing_fails(&json!({"ports": ports}), &Binary::new(), |_| {
        Door::port(port)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_to_a_domain_fails_while_all_behind_it_are_replaced() {
    let domains = Domains::on_free_ports();
    let name = "shop.example";
    let reached = json!({"domains": [{"name": name, "port": 80}]});
    nothing_fails(&reached, &domains.binary(), |data| {
        Door::domain(name, domains.https, &Domains::root(data))
    })
    .await;
}

/// `door`: where clients come in, once the first instance serves.
async fn nothing_fails(reached: &Value, binary: &Binary, door: impl FnOnce(&Path) -> Door) {
    let engine = Engine::with_live_restore();
    image::program(&engine, "app:1", &app());
    let dir = tempfile::tempdir().expect("temporary directory");
    let _data_plane = DataPlane::of(dir.path());
    let mut server = Program::serve_as(dir.path(), &engine.address(), binary).await;
    make_project(&server, "busy", &spec(reached, 0)).await;
    let first = start_deploy(&server, "busy").await.expect("it lives");
    assert_eq!(ended(&server, first).await["status"], "succeeded");

    let traffic = Traffic::start(&door(dir.path()));
    let mut switches = Vec::new();
    for (version, meanwhile) in (1..=deploys()).zip(ALL.into_iter().cycle()) {
        set_spec(&server, "busy", &spec(reached, version)).await;
        let id = start_deploy(&server, "busy").await.expect("it lives");
        let path = format!("/api/deploys/{id}");
        until(&server, &path, |deploy| deploy["status"] == "draining").await;
        let is_over = happens(meanwhile, dir.path(), &engine).await;
        if let Some(signal) = is_over {
            server.end(signal).await;
            server = Program::serve_as(dir.path(), &engine.address(), binary).await;
        }
        let deploy = ended(&server, id).await;
        assert_eq!(deploy["status"], "succeeded", "{meanwhile:?}: {deploy}");
        switches.push(drain_began(&deploy));
    }
    let outcome = traffic.stop().await;
    server.end(Signal::TERM).await;

    let (answered, failed) = (outcome.answered, outcome.failures.len());
    println!(
        "{answered} requests answered, {failed} failed, {} a second",
        outcome.per_second
    );
    assert_eq!(outcome.failures, Vec::<String>::new());
    assert!(outcome.per_second >= 500, "{} a second", outcome.per_second);
    assert!(outcome.cuts.len() >= ALL.len(), "sockets were open in each");
    for cut in outcome.cuts {
        let before = switches.iter().filter(|switch| **switch <= cut);
        let last = before.max().expect("a switch");
        let lasted = cut.duration_since(*last).expect("in order");
        assert!(lasted + SLACK >= DRAIN, "cut after {lasted:?}");
    }
}

/// How the server ends, if it does.
async fn happens(meanwhile: Meanwhile, data: &Path, engine: &Engine) -> Option<Signal> {
    match meanwhile {
        Meanwhile::Nothing => {}
        Meanwhile::EngineRestarts => {
            engine.stop();
            engine.start_again();
        }
        Meanwhile::DataPlaneIsReplaced => {
            let data = data.to_str().expect("UTF-8");
            let upgrade = ["proxy", "upgrade", "--data", data];
            let upgraded = Binary::new().run(&upgrade).await;
            assert!(upgraded.status.success(), "{upgraded:?}");
        }
        Meanwhile::ServerStops => return Some(Signal::TERM),
        Meanwhile::ServerDies => return Some(Signal::KILL),
    }
    None
}

fn drain_began(deploy: &Value) -> SystemTime {
    let steps = deploy["steps"].as_array().expect("steps");
    let drain = steps.iter().find(|step| step["name"] == "drain");
    let text = drain.and_then(|it| it["started_at"].as_str());
    let time = tiny_forge::model::Timestamp::parse(text.expect("a time")).expect("a time");
    let since = Duration::from_millis(time.unix_ms().unsigned_abs());
    SystemTime::UNIX_EPOCH + since
}
