//! A plugin is replaced while events flow.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Host, projects_told, publish};
use crate::support::{
    binary::Binary,
    folder::{put, put_built, webhook},
    target::{Answer, Received, Target},
    wait,
};

/// A sink that asks for more than `webhook` does.
fn greedy() -> Vec<u8> {
    include_bytes!("golden/1.0.0/sink.wasm").to_vec()
}

#[tokio::test]
async fn a_new_file_that_asks_for_more_waits_while_the_old_one_runs_until_it_is_granted() {
    let mut host = Host::start().await;
    let secret = host.server.dir.path().join("secret");
    std::fs::write(&secret, "abc").expect("written");
    let (secret, origin) = (secret.display(), host.target.origin());
    let granted = format!("grants.http = [\"{origin}\"]");
    let toml = format!(
        "# Ours.\n[plugin.hook]\nfile = \"hook.wasm\"\nconfig.url = \"{origin}/\"\n\
         secrets.WEBHOOK_SECRET = \"file:{secret}\"\nsecrets.TOKEN = \"file:{secret}\"\n{granted}\n"
    );
    put_built(&host.folder(), "webhook", "hook.wasm");
    put(&host.folder(), "hook.toml", &toml);
    let old = host.plugin_is("hook", "running").await;
    assert_eq!(old["missing_grants"], json!([]));

    put(&host.folder(), "hook.wasm", greedy());
    let asks = |it: &Value| {
        let why = it["error"].as_str().unwrap_or_default();
        why.contains("asks for more") && why.contains("tiny-forge plugin grant hook")
    };
    let waiting = host.listed("/api/plugins", asks).await;
    assert_eq!(
        (&waiting["digest"], &waiting["state"]),
        (&old["digest"], &json!("running"))
    );
    let line = format!("grants.http = [\"{origin}\", \"https://hooks.example\"]");
    assert_eq!(waiting["missing_grants"], json!([line]));

    // Whoever has looked at something else grants nothing.
    let seen = json!({"seen": ["grants.http = [\"https://other.example\"]"]});
    let (status, problem) = host.server.post("/api/plugins/hook/grant", &seen).await;
    assert_eq!(status, 409, "{problem}");
    let written = std::fs::read_to_string(host.folder().join("hook.toml")).expect("read");
    assert_eq!(written, toml);

    let nothing = json!({});
    let grant = || host.server.post("/api/plugins/hook/grant", &nothing);
    let program = Binary::against(&host.server);
    let listed = program.run(&["plugin", "list"]).await;
    let listed = String::from_utf8_lossy(&listed.stdout);
    assert!(
        listed.contains("to grant that: tiny-forge plugin grant hook,"),
        "{listed}"
    );
    let done = program.run(&["plugin", "grant", "hook"]).await;
    let said = String::from_utf8_lossy(&done.stdout);
    assert_eq!(
        said,
        format!("hook asks for {line}\nhook may reach https://hooks.example\n")
    );
    let new = host
        .listed("/api/plugins", |it| it["digest"] != old["digest"])
        .await;
    assert_eq!(
        (&new["error"], &new["missing_grants"]),
        (&Value::Null, &json!([]))
    );
    let written = std::fs::read_to_string(host.folder().join("hook.toml")).expect("read");
    assert_eq!(written, toml.replace(&granted, &line));
    assert_eq!(grant().await.0, 409);
    host.server.stop().await;
}

#[tokio::test]
async fn a_grant_is_for_what_was_shown_and_nothing_that_is_asked_for_since() {
    let host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target);
    put(
        &host.folder(),
        "hook.toml",
        toml.replace("grants.http", "# grants.http"),
    );
    let lacks = |it: &Value| it["missing_grants"] != json!([]);
    let shown = host.listed("/api/plugins", lacks).await;
    let other = json!({"seen": ["grants.http = [\"https://other.example\"]"]});
    let (status, refusal) = host.server.post("/api/plugins/hook/grant", &other).await;
    assert_eq!(status, 409, "{refusal}");

    // A server whose plugin has come to ask for something else in between.
    let meanwhile = Target::start().await;
    let problem = ("content-type", "application/problem+json".to_owned());
    meanwhile.answer_next([
        Answer::new(200, &shown.to_string()),
        Answer {
            headers: vec![problem],
            ..Answer::new(409, &refusal.to_string())
        },
    ]);
    let program = Binary::new().with("TINY_FORGE_SERVER", &meanwhile.origin());
    let refused = program.run(&["plugin", "grant", "hook"]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("something else by now, nothing was granted"),
        "{said}"
    );
    let sent = meanwhile.received(2).await[1].json();
    assert_eq!(sent, json!({"seen": shown["missing_grants"]}));
    host.server.stop().await;
}

#[tokio::test]
async fn what_runs_on_beside_a_file_that_waits_has_the_secrets_and_grants_of_now() {
    let host = Host::start().await;
    let secrets = host.server.dir.path().join("secret");
    std::fs::write(&secrets, "first-token").expect("written");
    let (secret, origin) = (secrets.display(), host.target.origin());
    let toml = |granted: &str| {
        format!(
            "[plugin.hook]\nfile = \"hook.wasm\"\nconfig.url = \"{origin}/\"\n\
             config.sign_with = []\nconfig.headers.x-token = \"{{secret:TOKEN}}\"\n\
             secrets.TOKEN = \"file:{secret}\"\ngrants.networks = [\"127.0.0.1/32\"]\n{granted}\n"
        )
    };
    let granted = format!("grants.http = [\"{origin}\"]");
    put_built(&host.folder(), "webhook", "hook.wasm");
    put(&host.folder(), "hook.toml", toml(&granted));
    let running = |it: &Value| it["name"] == "hook" && it["state"] == "running";
    let old = host.listed("/api/plugins", running).await;
    put(&host.folder(), "hook.wasm", greedy());
    let waits = |it: &Value| {
        it["error"]
            .as_str()
            .is_some_and(|it| it.contains("asks for more"))
    };
    host.listed("/api/plugins", waits).await;

    // Another secret, by a change of the configuration.
    std::fs::write(&secrets, "second-token").expect("written");
    put(
        &host.folder(),
        "hook.toml",
        toml(&granted) + "# Changed.\nlimits.cpu_ms = 900\n",
    );
    let renewed = |it: &Value| waits(it) && it["loaded_at"] != old["loaded_at"];
    let now = host.listed("/api/plugins", renewed).await;
    assert_eq!(now["digest"], old["digest"]);
    let nothing = json!({});
    let test = || host.server.post("/api/plugins/hook/test", &nothing);
    let (_, tested) = test().await;
    assert_eq!(tested["outcome"], "ok", "{tested}");
    let requests = host.target.received(1).await;
    assert_eq!(requests[0].header("x-token"), "second-token");

    // And one grant less.
    put(&host.folder(), "hook.toml", toml(""));
    let without = |it: &Value| waits(it) && it["granted"]["http"] == json!([]);
    host.listed("/api/plugins", without).await;
    let (_, tested) = test().await;
    assert_ne!(tested["outcome"], "ok", "{tested}");
    assert_eq!(host.target.requests().len(), 1);
    host.server.stop().await;
}

#[tokio::test]
async fn a_file_that_asks_for_more_waits_through_a_restart_and_so_does_a_broken_one() {
    let mut host = Host::start().await;
    let secret = host.server.dir.path().join("secret");
    std::fs::write(&secret, "abc").expect("written");
    let (secret, origin) = (secret.display(), host.target.origin());
    let toml = |granted: &str| {
        format!(
            "[plugin.hook]\nfile = \"hook.wasm\"\nconfig.url = \"{origin}/\"\n\
             secrets.WEBHOOK_SECRET = \"file:{secret}\"\nsecrets.TOKEN = \"file:{secret}\"\n\
             grants.http = [\"{origin}\"{granted}]\n"
        )
    };
    put_built(&host.folder(), "webhook", "hook.wasm");
    put(&host.folder(), "hook.toml", toml(""));
    let old = host.plugin_is("hook", "running").await;

    let broken = (b"no plugin".to_vec(), "is not WebAssembly");
    let greedy = (
        greedy(),
        "its new file asks for more and waits, the old one runs on",
    );
    for (file, words) in [broken, greedy] {
        put(&host.folder(), "hook.wasm", file);
        for _ in 0..2 {
            let tells = |it: &Value| it["error"].as_str().is_some_and(|why| why.contains(words));
            let waiting = host.listed("/api/plugins", tells).await;
            assert_eq!(
                (&waiting["digest"], &waiting["state"]),
                (&old["digest"], &json!("running"))
            );
            host = Host::on(host.server.restart().await).await;
        }
    }
    put(
        &host.folder(),
        "hook.toml",
        toml(", \"https://hooks.example\""),
    );
    let new = |it: &Value| it["digest"].is_string() && it["digest"] != old["digest"];
    let new = host.listed("/api/plugins", new).await;
    assert_eq!(new["error"], Value::Null);
    host.server.stop().await;
}

#[tokio::test]
async fn what_runs_waits_for_the_file_that_is_pinned_through_a_restart() {
    let mut host = Host::start().await;
    put_built(&host.folder(), "webhook", "hook.wasm");
    let toml = webhook("hook", "hook.wasm", &host.target);
    put(&host.folder(), "hook.toml", &toml);
    let old = host.plugin_is("hook", "running").await;

    // The pin comes before its file.
    let new = marked(&host);
    let digest = hex::encode(Sha256::digest(&new));
    let pinned = format!("{toml}sha256 = \"{digest}\"\n");
    put(&host.folder(), "hook.toml", pinned);
    let waits = |it: &Value| {
        let why = it["error"].as_str().unwrap_or_default();
        why.contains("sha256 = ")
    };
    for _ in 0..2 {
        let waiting = host.listed("/api/plugins", waits).await;
        assert_eq!(
            (&waiting["digest"], &waiting["state"]),
            (&old["digest"], &json!("running"))
        );
        host = host.restarted().await;
    }
    put(&host.folder(), "hook.wasm", new);
    let runs = host.listed("/api/plugins", |it| it["digest"] == digest);
    assert_eq!(runs.await["error"], Value::Null);
    host.server.stop().await;
}

#[tokio::test]
async fn a_kept_file_that_is_not_what_its_name_says_does_not_run() {
    let mut host = Host::start().await;
    put_built(&host.folder(), "webhook", "hook.wasm");
    let toml = webhook("hook", "hook.wasm", &host.target);
    put(&host.folder(), "hook.toml", &toml);
    let old = host.plugin_is("hook", "running").await;
    let name = old["digest"].as_str().expect("a digest");
    let kept = format!("data/accepted/hook/{name}.wasm");
    let kept = host.server.dir.path().join(kept);
    assert!(kept.is_file(), "{}", kept.display());
    std::fs::write(kept, marked(&host)).expect("written");

    put(&host.folder(), "hook.wasm", "no plugin");
    let mut host = host.restarted().await;
    let down = host.plugin_is("hook", "failed").await;
    assert_ne!(down["digest"], old["digest"]);
    host.server.stop().await;
}

/// The same plugin in another file.
fn marked(host: &Host) -> Vec<u8> {
    let mut wasm = std::fs::read(host.folder().join("hook.wasm")).expect("read");
    wasm.extend([0, 5, 4, b'm', b'a', b'r', b'k']);
    wasm
}

/// At least.
const EVENTS: usize = 1_000;
const PUBLISHERS: usize = 8;
/// Events that may wait for their request: a slow machine publishes faster than it sends.
const BACKLOG: usize = 500;

#[tokio::test]
async fn a_plugin_replaced_while_a_thousand_events_flow_loses_none_and_repeats_none() {
    let mut host = Host::start().await;
    put_built(&host.folder(), "webhook", "hook.wasm");
    put_built(&host.folder(), "rules", "rules.wasm");
    let toml = webhook("hook", "hook.wasm", &host.target)
        + "[plugin.rules]\nfile = \"rules.wasm\"\nconfig.rules = []\n\
           [pipeline.all]\nwhen.type = \"project_status\"\nsteps = [\"rules\"]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "all.toml", &toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;

    let folder = host.folder();
    let (server, target) = (Arc::new(host.server), Arc::new(host.target));
    let made = Arc::new(AtomicUsize::new(0));
    let enough = CancellationToken::new();
    let mut publishers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        let (server, target) = (server.clone(), target.clone());
        let (made, enough) = (made.clone(), enough.clone());
        publishers.spawn(async move {
            while made.load(Ordering::SeqCst) < EVENTS || !enough.is_cancelled() {
                let number = made.fetch_add(1, Ordering::SeqCst);
                target.counts(number.saturating_sub(BACKLOG)).await;
                publish(&server, &format!("p{number}")).await;
            }
        });
    }
    // Each round: other bytes of the same plugins, and another configuration,
    // which shows on the wire while events go on.
    for round in ["one", "two", "three"] {
        for file in ["hook.wasm", "rules.wasm"] {
            put(&folder, file, another_version(&folder.join(file)));
        }
        let changed = toml.replace(
            "config.sign_with",
            &format!("config.headers.x-round = \"{round}\"\nconfig.sign_with"),
        );
        put(&folder, "all.toml", changed);
        let shows =
            |request: &Received| request.headers.get("x-round").is_some_and(|it| it == round);
        target.until(|requests| requests.iter().any(shows)).await;
    }
    enough.cancel();
    publishers.join_all().await;
    let made = made.load(Ordering::SeqCst);
    let requests = target.received(made).await;

    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for project in projects_told(&requests) {
        *told.entry(project).or_default() += 1;
    }
    assert_eq!(told.len(), made, "none is lost");
    let repeated: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "none is told twice: {repeated:?}");
    // Those that ran before are gone.
    for plugin in ["hook", "rules"] {
        let path = format!("/api/plugins/{plugin}");
        let mut guests = Value::Null;
        let one = wait::answer(async || {
            guests = server.json(&path).await["memory"]["guests"].clone();
            (guests == 1).then_some(())
        });
        one.await
            .unwrap_or_else(|| panic!("{plugin} has {guests} guests"));
    }
    Arc::into_inner(server)
        .expect("nobody else has it")
        .stop()
        .await;
}

/// The same component with one more custom section: another digest.
fn another_version(path: &std::path::Path) -> Vec<u8> {
    let mut wasm = std::fs::read(path).expect("it is there");
    wasm.extend([0, 5, 4, b'm', b'a', b'r', b'k']);
    wasm
}

#[tokio::test]
async fn beside_a_configuration_that_is_wrong_the_one_before_is_in_force_and_that_is_said() {
    let host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target);
    put(&host.folder(), "hook.toml", &toml);
    host.listed("/api/plugins", |it| it["state"] == "running")
        .await;
    let wrong = toml.replace("config.sign_with = []", "config.sign_with = 7");
    assert_ne!(wrong, toml);
    put(&host.folder(), "hook.toml", wrong);
    let is_told = |it: &Value| {
        let why = it["error"].as_str().unwrap_or_default();
        why.contains("/sign_with: 7 is not of type")
            && why.contains("what was set before is in force until the server is restarted")
    };
    let hook = host.listed("/api/plugins", is_told).await;
    assert_eq!(hook["state"], "running");
    host.server.stop().await;
}
