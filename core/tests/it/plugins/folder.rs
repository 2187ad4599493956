//! The plugins folder: what is put into it, changed, broken, and taken away.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use super::{Host, projects_told, publish};
use crate::support::{
    folder::{put, put_built, webhook},
    target::Answer,
    wait,
};

#[tokio::test]
async fn a_file_that_nothing_uses_is_listed_with_the_lines_that_would() {
    let mut host = Host::start().await;
    put_built(&host.folder(), "ntfy", "ntfy.wasm");
    let listed = host.plugin_is("ntfy.wasm", "not_configured").await;
    assert_eq!(listed["role"], "sink");
    let toml = listed["suggested_toml"].as_str().expect("a suggestion");
    assert!(
        toml.contains("[plugin.ntfy]\nfile = \"ntfy.wasm\""),
        "{toml}"
    );
    host.server.stop().await;
}

#[tokio::test]
async fn a_plugin_dropped_in_while_the_server_runs_sends_what_happens_from_then_on() {
    let mut host = Host::start().await;
    publish(&host.server, "before").await;
    put_built(&host.folder(), "webhook", "hook.wasm");
    let toml = webhook("hook", "hook.wasm", &host.target) + "[pipeline.all]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    publish(&host.server, "after").await;
    let requests = host.target.received(1).await;
    assert_eq!(projects_told(&requests), ["after"]);
    assert_eq!(requests[0].path, "/hook");
    host.server.stop().await;
}

#[tokio::test]
async fn a_bad_change_leaves_the_old_version_running_and_says_why() {
    let mut host = Host::start().await;
    put_built(&host.folder(), "webhook", "hook.wasm");
    let good = webhook("hook", "hook.wasm", &host.target) + "[pipeline.all]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", &good);
    host.plugin_is("hook", "running").await;
    let whole = fs::read(host.folder().join("hook.wasm")).expect("it is there");
    let half = whole[..whole.len() / 2].to_vec();
    for (name, content, why) in [
        ("hook.wasm", half, "damaged"),
        ("hook.wasm", b"not wasm at all".to_vec(), "WebAssembly"),
        (
            "hook.toml",
            good.replace("config.url", "config.uri").into(),
            "uri",
        ),
        (
            "hook.toml",
            good.replace("sign_with = []", "sign_with = 7").into(),
            "sign_with",
        ),
    ] {
        put(&host.folder(), name, content);
        let refused = |event: &Value| event["payload"]["error"].is_string();
        let told = host.events.until(refused).await;
        let error = told["payload"]["error"].as_str().expect("a reason");
        assert!(error.contains(why), "{name}: {error}");
        assert_eq!(told["payload"]["state"], "running");
        let listed = host.server.json("/api/plugins/hook").await;
        assert_eq!(listed["error"], error);
        put(&host.folder(), "hook.wasm", &whole);
        put(&host.folder(), "hook.toml", &good);
        host.plugin_is("hook", "running").await;
    }
    publish(&host.server, "still").await;
    assert_eq!(projects_told(&host.target.received(1).await), ["still"]);
    host.server.stop().await;
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_listed_and_changes_nothing() {
    let mut host = Host::start().await;
    let good = webhook("hook", "builtin:webhook", &host.target);
    put(&host.folder(), "hook.toml", &good);
    host.plugin_is("hook", "running").await;
    put(&host.folder(), "hook.toml", good + "\ncolour = \"red\"\n");
    let is_file = |item: &Value| item["name"] == "hook.toml";
    let broken = host.listed("/api/plugins", is_file).await;
    let error = broken["error"].as_str().expect("a reason");
    assert!(
        error.contains("line 8") && error.contains("`colour`"),
        "{error}"
    );
    let hook = host.server.json("/api/plugins/hook").await;
    assert_eq!(hook["state"], "running");

    let link = host.folder().join("elsewhere.toml");
    std::os::unix::fs::symlink("not-mounted.toml", link).expect("a link");
    let is_link = |item: &Value| item["name"] == "elsewhere.toml";
    let unreadable = host.listed("/api/plugins", is_link).await;
    let error = unreadable["error"].as_str().expect("a reason");
    assert!(error.contains("cannot be read"), "{error}");
    host.server.stop().await;
}

#[tokio::test]
async fn a_plugin_that_is_taken_away_holds_its_pipeline_until_it_is_back() {
    let mut host = Host::start().await;
    put_built(&host.folder(), "rules", "rules.wasm");
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[plugin.rules]\nfile = \"rules.wasm\"\nconfig.rules = []\n\
           [pipeline.all]\nsteps = [\"rules\"]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "all.toml", toml);
    host.plugin_is("rules", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    fs::remove_file(host.folder().join("rules.wasm")).expect("removed");
    host.plugin_is("rules", "missing").await;
    for project in ["one", "two"] {
        publish(&host.server, project).await;
    }
    let held = host.pipeline(|all| all["state"] == "paused").await;
    assert!(
        held["error"]
            .as_str()
            .is_some_and(|why| why.contains("`rules`")),
        "{held}"
    );
    assert!(host.target.requests().is_empty());
    put_built(&host.folder(), "rules", "rules.wasm");
    host.plugin_is("rules", "running").await;
    assert_eq!(
        projects_told(&host.target.received(2).await),
        ["one", "two"]
    );
    host.server.stop().await;
}

#[tokio::test]
async fn a_pipeline_that_cannot_work_says_which_plugin_is_in_the_wrong_place() {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.upside]\nsteps = [\"hook\"]\nsinks = [\"hook\"]\n\
           [pipeline.alone]\nsinks = [\"nobody\"]\n";
    put(&host.folder(), "all.toml", toml);
    host.plugin_is("hook", "running").await;
    let is_failed = |name: &'static str| {
        move |pipeline: &Value| pipeline["name"] == name && pipeline["state"] == "failed"
    };
    let upside = host.pipeline(is_failed("upside")).await;
    let error = upside["error"].as_str().expect("a reason");
    assert!(error.starts_with("`hook`, version "), "{error}");
    assert!(
        error.ends_with("has the role sink: name it under `sinks`"),
        "{error}"
    );
    let alone = host.pipeline(is_failed("alone")).await;
    assert!(
        alone["error"]
            .as_str()
            .is_some_and(|why| why.contains("[plugin.nobody]"))
    );
    host.server.stop().await;
}

#[tokio::test]
async fn what_is_still_in_a_call_when_it_is_to_end_holds_up_only_what_follows_it() {
    let host = Host::start().await;
    let slow = webhook("slow", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"slow\"]\n";
    put(&host.folder(), "slow.toml", &slow);
    host.pipeline(|it| it["state"] == "running").await;
    host.target.answer_next([Answer {
        after: Duration::from_secs(8),
        ..Answer::new(200, "")
    }]);
    publish(&host.server, "shop").await;
    host.target.received(1).await;

    fs::remove_file(host.folder().join("slow.toml")).expect("removed");
    let other = webhook("other", "builtin:webhook", &host.target);
    put(&host.folder(), "other.toml", other);
    let runs = |it: &Value| it["name"] == "other" && it["state"] == "running";
    host.listed("/api/plugins", runs).await;
    let calling = host.listed("/api/deliveries", |it| it["sink"] == "slow");
    let calling = calling.await;
    assert_eq!(calling["status"], "pending", "{calling}");

    // It is back before the call is over, and does not make it again.
    put(&host.folder(), "slow.toml", &slow);
    host.pipeline(|it| it["state"] == "running").await;
    let delivered = |it: &Value| it["status"] == "delivered";
    assert_eq!(
        host.listed("/api/deliveries", delivered).await["attempts"],
        1
    );
    publish(&host.server, "blog").await;
    let told = projects_told(&host.target.received(2).await);
    assert_eq!(told, ["shop", "blog"]);
    host.server.stop().await;
}

#[tokio::test]
async fn a_pinned_digest_lets_no_other_file_in() {
    let mut host = Host::start().await;
    put_built(&host.folder(), "webhook", "hook.wasm");
    let toml = webhook("hook", "hook.wasm", &host.target) + &format!("sha256 = \"{:064}\"\n", 0);
    put(&host.folder(), "hook.toml", toml);
    let refused = host.plugin_is("hook", "failed").await;
    let error = refused["error"].as_str().expect("a reason");
    assert!(error.contains("sha256 = \""), "{error}");

    // And no change of the one that runs.
    let (_, told) = error.rsplit_once("sha256 = \"").expect("the digest");
    let digest = told.split('"').next().expect("a digest").to_owned();
    let pinned = webhook("hook", "hook.wasm", &host.target) + &format!("sha256 = \"{digest}\"\n");
    put(&host.folder(), "hook.toml", pinned);
    host.plugin_is("hook", "running").await;
    let mut changed = fs::read(host.folder().join("hook.wasm")).expect("read");
    changed.extend([0, 5, 4, b'm', b'a', b'r', b'k']);
    put(&host.folder(), "hook.wasm", changed);
    let waits = |it: &Value| {
        it["error"]
            .as_str()
            .is_some_and(|it| it.contains("sha256 = "))
    };
    let waiting = host.listed("/api/plugins", waits).await;
    assert_eq!(
        (&waiting["digest"], &waiting["state"]),
        (&json!(digest), &json!("running"))
    );
    host.server.stop().await;
}

#[tokio::test]
async fn a_pipeline_whose_file_is_away_for_a_moment_goes_on_where_it_was() {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n\
           batch = { events = 3, wait = \"1h\" }\n";
    put(&host.folder(), "hook.toml", &toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    publish(&host.server, "before").await;
    host.pipeline(|all| all["batched"] == 1).await;

    fs::remove_file(host.folder().join("hook.toml")).expect("removed");
    let gone = wait::answer(async || {
        let listed = host.server.json("/api/pipelines").await;
        (listed["items"] == json!([])).then_some(())
    });
    gone.await.expect("it ends in time");
    publish(&host.server, "meanwhile").await;
    put(&host.folder(), "hook.toml", &toml);
    publish(&host.server, "after").await;
    let requests = host.target.received(1).await;
    assert_eq!(projects_told(&requests), ["before", "meanwhile", "after"]);
    host.server.stop().await;
}
