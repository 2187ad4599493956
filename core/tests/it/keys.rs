//! The key that seals secrets is replaced, and the command is killed meanwhile.

use std::{fs, path::Path, process::Output};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tiny_forge::failpoint::Failpoint;

use crate::support::{binary::Binary, folder::put, program::Program, wait};

pub const OF_KEYS: [Failpoint; 3] = [
    Failpoint::KeyMade,
    Failpoint::KeyUsed,
    Failpoint::KeyReplaced,
];

/// A server has left a secret variable, and a secret for a plugin.
async fn with_secrets(data: &Path) {
    let toml = "[plugin.hook]\nfile = \"builtin:webhook\"\nconfig.url = \"https://a.example\"\n\
                secrets.WEBHOOK_SECRET = \"store:hook\"\n";
    put(&data.join("plugins"), "hook.toml", toml);
    let program = Program::serve(data).await;
    let url = |path: &str| format!("{}{path}", program.address);
    let env = json!([{"name": "TOKEN", "value": "correct-horse", "secret": true}]);
    let project = json!({"name": "shop", "spec": {"image": "app:1", "env": env}});
    let made = program
        .http
        .post(url("/api/projects"))
        .json(&project)
        .send();
    assert_eq!(made.await.expect("an answer").status(), 201);
    let secret = json!({"value": "battery-staple"});
    let set = program
        .http
        .request(Method::PUT, url("/api/secrets/hook"))
        .json(&secret);
    assert_eq!(set.send().await.expect("an answer").status(), 200);
    program.end(Signal::TERM).await;
}

async fn rotate(data: &Path, binary: Binary) -> Output {
    let data = data.to_str().expect("UTF-8");
    binary.run(&["secret", "rotate-key", "--data", data]).await
}

/// What the plugin says once it has looked for its secret.
async fn plugin_of(program: &Program) -> Value {
    let settled = wait::answer(async || {
        let shown = program.json("/api/plugins").await["items"][0].clone();
        let settled = shown["state"] == "running" || shown["state"] == "failed";
        settled.then_some(shown)
    });
    settled.await.expect("in time")
}

fn key(data: &Path) -> Vec<u8> {
    fs::read(data.join("key")).expect("a key")
}

#[tokio::test]
async fn a_new_key_opens_everything_also_after_a_kill_at_any_point_of_its_making() {
    for point in OF_KEYS {
        let dir = tempfile::tempdir().expect("temporary directory");
        let data = dir.path();
        with_secrets(data).await;
        let first = key(data);
        let doomed = Binary::new().with("TINY_FORGE_FAILPOINT", point.name());
        let died = rotate(data, doomed).await;
        assert_eq!(died.status.code(), None, "{}: killed", point.name());

        let program = Program::serve(data).await;
        let plugin = plugin_of(&program).await;
        assert_eq!(plugin["state"], "running", "{}: {plugin}", point.name());
        program.end(Signal::TERM).await;
        assert!(!data.join("key.next").exists(), "{}", point.name());
        assert_eq!(key(data) == first, point == Failpoint::KeyMade);

        // It opens all that there is to seal it anew.
        let rotated = rotate(data, Binary::new()).await;
        let said = String::from_utf8_lossy(&rotated.stdout).into_owned();
        assert!(said.contains("2 specifications and secrets"), "{said}");
        assert_ne!(key(data), first);
    }
}

#[tokio::test]
async fn an_old_key_opens_nothing_any_more() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = dir.path();
    with_secrets(data).await;
    let old = key(data);
    assert!(rotate(data, Binary::new()).await.status.success());
    let new = key(data);
    fs::write(data.join("key"), &old).expect("written");
    let program = Program::serve(data).await;
    let plugin = plugin_of(&program).await;
    let why = plugin["error"].as_str().expect("an error");
    assert!(
        why.contains("cannot be opened") && why.contains("secret set hook"),
        "{why}"
    );
    program.end(Signal::TERM).await;
    let refused = rotate(data, Binary::new()).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("the key stays as it was") && said.contains("shop/prod"),
        "{said}"
    );
    assert_eq!(key(data), old);

    fs::write(data.join("key"), &new).expect("written");
    assert!(rotate(data, Binary::new()).await.status.success());
}

#[tokio::test]
async fn a_key_is_not_replaced_under_a_server() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let nothing = rotate(dir.path(), Binary::new()).await;
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("--data"));
    let program = Program::serve(dir.path()).await;
    let refused = rotate(dir.path(), Binary::new()).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("in use by another tiny-forge"), "{said}");
    program.end(Signal::TERM).await;
}
