//! Server, data plane, Caddy, engine and containers end at once, in the middle of a deploy: what
//! comes after them makes it good.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tiny_forge_proxy::Client;

use crate::{
    held_ports::unfinished,
    kills::{make_project, newest_ended, one_serves, set_spec, start_deploy, until},
    support::{
        bench::bench, data_plane::DataPlane, domains::Domains, engine::Engine, image,
        program::Program, registry::free_port, shared::WEB, wait,
    },
};

fn spec(port: u16, word: &str) -> Value {
    json!({"image": "web:1", "pull": "never", "stop_grace_ms": 1000,
        "health": {"http": {"port": 80}, "min_uptime_ms": 2000},
        "bake_ms": 3000, "drain_ms": 3000, "env": [{"name": "WORD", "value": word}],
        "ports": [{"host": port, "container": 80, "host_ip": "127.0.0.1"}],
        "domains": [{"name": "power.example", "port": 80}]})
}

#[tokio::test]
async fn a_host_that_loses_its_power_in_any_step_serves_again_and_its_deploy_has_an_end() {
    let engine = Engine::start();
    let address = engine.address();
    image::busybox(&engine, "web:1", WEB);
    let dir = tempfile::tempdir().expect("temporary directory");
    let _data_plane = DataPlane::of(dir.path());
    let domains = Domains::on_free_ports();
    let serve = async || Program::serve_as(dir.path(), &address, &domains.binary()).await;
    let mut server = serve().await;
    let port = free_port();
    make_project(&server, "power", &spec(port, "first")).await;
    start_deploy(&server, "power").await.expect("it lives");
    assert_eq!(newest_ended(&server, "power").await["status"], "succeeded");

    for (step, ends) in [
        // Nobody had seen it good: the old one serves.
        ("gating", "failed"),
        ("draining", "succeeded"),
        ("baking", "succeeded"),
    ] {
        set_spec(&server, "power", &spec(port, step)).await;
        let open = unfinished(port).await;
        let id = start_deploy(&server, "power").await.expect("it lives");
        let path = format!("/api/deploys/{id}");
        until(&server, &path, |deploy| deploy["status"] == step).await;
        server.signal(Signal::KILL);
        kill_data_plane(dir.path()).await;
        Domains::kill_caddy(dir.path());
        engine.kill();
        server.ended().await;
        drop(open);

        engine.start_again();
        server = serve().await;
        let deploy = newest_ended(&server, "power").await;
        assert_eq!(deploy["status"], ends, "{step}: {deploy}");
        one_serves(&engine, &server, "power", step).await;
        let said = domains.said("power.example", dir.path());
        assert!(said.await.is_some(), "{step}");
    }
    server.end(Signal::TERM).await;
}

#[tokio::test]
async fn a_deploy_goes_on_whose_data_plane_dies_in_any_step() {
    let bench = bench().await;
    let port = free_port();
    let data = bench.server.dir.path().join("data");
    bench
        .project("orphan", |made| {
            *made = spec(port, "first");
            made["image"] = json!(bench.web);
            made["pull"] = json!("missing");
            made["domains"] = json!([]);
        })
        .await;
    assert_eq!(bench.deploy("orphan").await["status"], "succeeded");
    for step in ["gating", "draining", "baking"] {
        bench
            .update("orphan", |spec| spec["env"][0]["value"] = json!(step))
            .await;
        let open = unfinished(port).await;
        let id = bench.start("orphan").await;
        bench.reaches(id, step).await;
        kill_data_plane(&data).await;
        let deploy = bench.ended(id).await;
        assert_eq!(deploy["status"], "succeeded", "{step}: {deploy}");
        drop(open);
        let said = wait::answer(async || {
            let answer = reqwest::get(format!("http://127.0.0.1:{port}/")).await;
            answer.ok()?.text().await.ok()
        });
        assert_eq!(said.await.expect("an answer").trim(), step);
    }
    bench.server.stop().await;
}

async fn kill_data_plane(data: &Path) {
    let hello = Client::new(&data.join("proxy")).hello().await;
    let pid = Pid::from_raw(hello.expect("it runs").pid.cast_signed());
    kill_process(pid.expect("a process"), Signal::KILL).expect("it is ours");
}
