//! What an image says about itself, from the engine to whoever is told.

use serde_json::{Value, json};

use super::Host;
use crate::support::{
    bench::{Bench, bench_with},
    folder::{put, webhook},
    shared::Shared,
};

const REVISION: &str = "7d3f1c0a5be94c28a6d0f1b2c3d4e5f60718293a";

/// The shared image with labels of its own: its name.
fn labelled() -> &'static str {
    let shared = Shared::get();
    let (engine, name) = (&shared.engine, "labelled:1");
    engine.docker(&["create", "--name", "to-label", &shared.web]);
    let mut commit = vec!["commit".to_owned()];
    for (label, value) in [
        ("version", "3.0.1"),
        ("revision", REVISION),
        ("source", "https://ci:t0ken@github.com/acme/shop.git"),
        ("description", "shop"),
    ] {
        let change = format!("LABEL org.opencontainers.image.{label}={value}");
        commit.extend(["--change".to_owned(), change]);
    }
    commit.extend(["to-label", name].map(str::to_owned));
    let commit: Vec<&str> = commit.iter().map(String::as_str).collect();
    engine.docker(&commit);
    engine.docker(&["rm", "to-label"]);
    name
}

#[tokio::test]
async fn version_and_commit_of_an_image_are_told_with_a_deploy_and_its_instances() {
    let bench = bench_with(labelled()).await;
    let local = |spec: &mut Value| spec["pull"] = "missing".into();
    bench.project("labelled", local).await;
    let Bench { server, .. } = bench;
    let host = Host::on(server).await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[plugin.image]\nfile = \"builtin:image-info\"\n[pipeline.all]\n\
           when = { type = [\"deploy_status\", \"instance_status\"], project = \"labelled\", planned = true }\n\
           steps = [\"image\"]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "all.toml", toml);
    host.pipeline(|all| all["state"] == "running").await;
    host.server
        .post("/api/projects/labelled/deploys", &json!({}))
        .await;

    let told = |requests: &[_], kind: &str, field: &str, word: &str| {
        events(requests)
            .into_iter()
            .find(|event| event["type"] == kind && event["payload"][field] == word)
    };
    let requests = host
        .target
        .until(|requests| {
            told(requests, "deploy_status", "status", "succeeded").is_some()
                && told(requests, "instance_status", "reason", "started").is_some()
        })
        .await;
    let queued = told(&requests, "deploy_status", "status", "queued").expect("told");
    assert_eq!(queued["payload"].get("image_labels"), None, "{queued}");
    for told in [
        told(&requests, "deploy_status", "status", "succeeded"),
        told(&requests, "instance_status", "reason", "started"),
    ] {
        let told = told.expect("told");
        assert_eq!(
            told["payload"]["image_labels"],
            json!({"version": "3.0.1", "revision": REVISION, "source": "https://github.com/acme/shop.git"})
        );
        assert_eq!(
            told["annotations"]["image"],
            json!({
                "version": "3.0.1", "commit": "7d3f1c0", "source": "https://github.com/acme/shop",
                "commit_url": format!("https://github.com/acme/shop/commit/{REVISION}"),
            })
        );
    }
    host.server.stop().await;
}

fn events(requests: &[crate::support::target::Received]) -> Vec<Value> {
    let lists = requests
        .iter()
        .map(|request| request.json()["data"]["events"].clone());
    lists
        .filter_map(|list| list.as_array().cloned())
        .flatten()
        .collect()
}
