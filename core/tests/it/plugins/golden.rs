//! Plugins built for every contract that was ever published still do what they did
//! then: `golden/README.md` says how they came here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Host, publish};
use crate::support::{folder::put, server::Server, target::Received};

const TOKEN: &str = "correct-horse-battery";

#[tokio::test]
async fn plugins_of_every_published_contract_do_what_they_did() {
    let versions = versions();
    assert!(versions.len() >= 2, "{versions:?}");
    let mut differing = Vec::new();
    for folder in versions {
        let did = did(&folder).await;
        let text = serde_json::to_string_pretty(&did).expect("JSON") + "\n";
        let kept = folder.join("did.json");
        if fs::read_to_string(&kept).is_ok_and(|before| before == text) {
            continue;
        }
        fs::write(kept.with_extension("json.new"), text).expect("written beside");
        differing.push(kept);
    }
    assert!(
        differing.is_empty(),
        "{differing:?} differ from the `.new` files beside them: a published contract has \
         changed what it means"
    );
}

#[tokio::test]
async fn the_newest_contract_has_its_golden_files() {
    let wit = fs::read_to_string(repository("sdk/wit/v1/worlds.wit")).expect("the contract");
    let (_, rest) = wit
        .split_once("package tiny-forge:plugin@")
        .expect("a package");
    let (version, _) = rest.split_once(';').expect("a version");
    let folder = golden().join(version);
    for file in ["filter.wasm", "enricher.wasm", "sink.wasm"] {
        assert!(
            folder.join(file).is_file(),
            "{file} of contract {version} is missing: see {}",
            golden().join("README.md").display()
        );
    }
}

fn golden() -> PathBuf {
    repository("core/tests/it/plugins/golden")
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A folder for each.
fn versions() -> Vec<PathBuf> {
    let entries = fs::read_dir(golden()).expect("golden files");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// What filter, enricher and sink of one contract do with the same events.
async fn did(folder: &Path) -> Value {
    let host = start(folder).await;
    // The last one makes the filter panic.
    for project in ["draft", "quiet", "faulty", "shop", "broken"] {
        publish(&host.server, project).await;
    }
    let requests = host.target.received(4).await;
    let pipeline = host.pipeline(|all| all["dropped"] == 1).await;
    let mut plugins = BTreeMap::new();
    for name in ["filter", "enricher", "sink"] {
        let plugin = host.server.json(&format!("/api/plugins/{name}")).await;
        plugins.insert(name, what_it_said(&plugin));
    }
    let drops = pipeline["recent_drops"].as_array().expect("drops").iter();
    let did = json!({
        "plugins": plugins,
        "dropped": drops.map(|drop| json!([drop["plugin"], drop["reason"]])).collect::<Vec<_>>(),
        "sent": requests.iter().map(what_was_sent).collect::<Vec<_>>(),
    });
    // Kept for good with the file itself, and not known to anybody else.
    let text = did
        .to_string()
        .replace(&host.target.origin(), "http://target");
    host.server.stop().await;
    serde_json::from_str(&text).expect("JSON")
}

async fn start(folder: &Path) -> Host {
    let server = Server::configured(|_, args| {
        args.public_url = Some("https://forge.example".into());
    });
    let host = Host::on(server.await).await;
    for role in ["filter", "enricher", "sink"] {
        let file = format!("{role}.wasm");
        let wasm = fs::read(folder.join(&file)).expect("a golden file");
        put(&host.folder(), &file, wasm);
    }
    let secret = host.server.dir.path().join("token");
    fs::write(&secret, TOKEN).expect("written");
    let origin = host.target.origin();
    let toml = format!(
        "[plugin.filter]\nfile = \"filter.wasm\"\nconfig.project = \"draft\"\n\
         [plugin.enricher]\nfile = \"enricher.wasm\"\nconfig.silent = \"quiet\"\n\
         [plugin.sink]\nfile = \"sink.wasm\"\nconfig.url = \"{origin}/hook\"\n\
         secrets.TOKEN = \"file:{}\"\n\
         grants.http = [\"{origin}\"]\ngrants.networks = [\"127.0.0.1/32\"]\n\
         [pipeline.all]\nwhen.type = \"project_status\"\n\
         steps = [\"filter\", \"enricher\"]\nsinks = [\"sink\"]\n",
        secret.display()
    );
    put(&host.folder(), "all.toml", toml);
    host.pipeline(|all| all["state"] == "running").await;
    host
}

fn what_it_said(plugin: &Value) -> Value {
    // The host's own lines are warnings, and not the contract's.
    let lines = plugin["recent_log"].as_array().expect("lines").iter();
    let lines = lines.filter(|line| line["level"] != "warn");
    let lines = lines.map(|line| json!([line["level"], line["message"]]));
    json!({
        "role": plugin["role"],
        "version": plugin["version"],
        "contract": plugin["contract"],
        "description": plugin["description"],
        "config_schema": plugin["config_schema"],
        "asked": plugin["asked"],
        "faults": plugin["calls"]["faults"],
        "log": lines.collect::<Vec<_>>(),
    })
}

/// Without what differs from run to run.
fn what_was_sent(request: &Received) -> Value {
    let mut body = request.json();
    let id = body["delivery"].take();
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(TOKEN.as_bytes()).expect("any length");
    mac.update(id.as_str().expect("an id").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    for event in body["events"].as_array_mut().expect("events") {
        let event = event.as_object_mut().expect("an object");
        event.retain(|key, _| {
            ["type", "subject", "severity", "annotations"].contains(&key.as_str())
        });
    }
    json!({
        "path": request.path,
        "authorization": request.header("authorization").replace(TOKEN, "(token)"),
        "is_signed": request.header("x-signature") == signature,
        "body": body,
    })
}
