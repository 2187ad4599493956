//! Secrets of the sealed store: set, used, changed, removed.

use std::{fs, process::Output};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Host, publish};
use crate::support::{binary::Binary, folder::put};

/// A webhook that sends a stored secret in a header.
fn toml(host: &Host, more: &str) -> String {
    let origin = host.target.origin();
    format!(
        "[plugin.hook]\nfile = \"builtin:webhook\"\nconfig.url = \"{origin}/hook\"\n\
         config.sign_with = []\nconfig.headers.x-token = \"{{secret:TOKEN}}\"\n\
         grants.http = [\"{origin}\"]\ngrants.networks = [\"127.0.0.1/32\"]\n{more}\n\
         [pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n"
    )
}

const STORED: &str = "secrets.TOKEN = \"store:hook-token\"";

async fn secret(host: &Host, arguments: &[&str], input: &str) -> Output {
    let arguments = [&["secret"], arguments].concat();
    let binary = Binary::against(&host.server);
    binary.run_with(&arguments, input).await
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(both).expect("UTF-8")
}

/// The tokens that have arrived at the target, in order.
async fn tokens(host: &Host, count: usize) -> Vec<String> {
    let received = host.target.received(count).await;
    let tokens = received.iter().map(|it| it.header("x-token").to_owned());
    tokens.collect()
}

async fn listed(host: &Host) -> Value {
    host.server.json("/api/secrets").await["items"].clone()
}

#[tokio::test]
async fn a_secret_is_missed_by_name_then_set_changed_and_used_without_a_restart() {
    let mut host = Host::start().await;
    put(&host.folder(), "hook.toml", toml(&host, STORED));
    let missed = host.plugin_is("hook", "failed").await;
    let why = missed["error"].as_str().expect("an error");
    assert!(why.contains("`tiny-forge secret set hook-token`"), "{why}");
    let unset = json!([{"name": "hook-token", "used_by": ["hook"]}]);
    assert_eq!(listed(&host).await, unset);

    let set = secret(&host, &["set", "hook-token"], "first-value\n").await;
    assert_eq!(said(&set), "secret `hook-token` is set, for hook\n");
    host.plugin_is("hook", "running").await;
    publish(&host.server, "one").await;
    assert_eq!(tokens(&host, 1).await, ["first-value"]);

    // Setting it is what it takes: the next call has it.
    let set = secret(&host, &["set", "hook-token"], "second-value").await;
    assert!(set.status.success(), "{}", said(&set));
    publish(&host.server, "two").await;
    assert_eq!(tokens(&host, 2).await, ["first-value", "second-value"]);

    let all = listed(&host).await;
    assert_eq!(all[0]["used_by"], json!(["hook"]));
    assert!(
        all[0]["created_at"].as_str() < all[0]["updated_at"].as_str(),
        "{all}"
    );
    let list = secret(&host, &["list"], "").await;
    assert!(said(&list).contains("hook-token"), "{}", said(&list));
    assert!(!format!("{all}{}", said(&list)).contains("-value"));

    // And it is there after a restart.
    host.server = host.server.restart().await;
    host.events = host.server.sse("/api/events").await;
    host.listed("/api/plugins", |it| it["state"] == "running")
        .await;
    publish(&host.server, "three").await;
    assert_eq!(tokens(&host, 3).await[2], "second-value");
    host.server.stop().await;
}

#[tokio::test]
async fn a_secret_that_a_plugin_asks_for_is_granted_once_it_is_in_the_store() {
    let host = Host::start().await;
    put(&host.folder(), "hook.toml", toml(&host, "# Ours."));
    let lacks = async |line: &str| {
        let missing = json!([line]);
        host.listed("/api/plugins", |it| it["missing_grants"] == missing)
            .await
    };
    lacks("secrets.TOKEN = \"env:TOKEN\"").await;
    let grant = "/api/plugins/hook/grant";
    let (status, problem) = host.server.post(grant, &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    let remedy = problem["detail"].as_str().expect("a remedy");
    assert!(remedy.contains("`tiny-forge secret set NAME`"), "{remedy}");
    // What comes meanwhile waits.
    publish(&host.server, "one").await;
    let waiting = host
        .listed("/api/deliveries", |it| it["status"] == "retrying")
        .await;
    let why = waiting["last_error"].as_str().expect("a reason");
    assert!(why.contains("secrets.TOKEN = \"env:TOKEN\""), "{why}");

    secret(&host, &["set", "TOKEN"], "granted-value").await;
    let line = "secrets.TOKEN = \"store:TOKEN\"";
    lacks(line).await;
    let program = Binary::against(&host.server);
    let listed = program.run(&["plugin", "list"]).await;
    let command = "to grant that: tiny-forge plugin grant hook,";
    assert!(said(&listed).contains(command), "{}", said(&listed));
    let granted = program.run(&["plugin", "grant", "hook"]).await;
    assert_eq!(
        said(&granted),
        format!("hook asks for {line}\nhook has secret TOKEN from the sealed store\n")
    );
    host.listed("/api/plugins", |it| {
        it["granted"]["secrets"] == json!(["TOKEN"])
    })
    .await;
    let written = fs::read_to_string(host.folder().join("hook.toml")).expect("read");
    assert!(written.contains(line), "{written}");
    assert_eq!(tokens(&host, 1).await, ["granted-value"]);
    host.server.stop().await;
}

#[tokio::test]
async fn a_secret_in_use_is_not_removed() {
    let host = Host::start().await;
    secret(&host, &["set", "hook-token"], "first-value").await;
    put(&host.folder(), "hook.toml", toml(&host, STORED));
    host.listed("/api/secrets", |it| it["used_by"] == json!(["hook"]))
        .await;
    let refused = secret(&host, &["remove", "hook-token"], "").await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("used by hook"),
        "{}",
        said(&refused)
    );
    let path = "/api/secrets/hook-token";
    let (status, problem) = host.server.send(Method::DELETE, path, &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");

    put(&host.folder(), "hook.toml", toml(&host, ""));
    host.listed("/api/secrets", |it| it["used_by"] == json!([]))
        .await;
    let removed = secret(&host, &["remove", "hook-token"], "").await;
    assert_eq!(said(&removed), "secret `hook-token` is removed\n");
    assert_eq!(listed(&host).await, json!([]));
    let (status, _) = host.server.send(Method::DELETE, path, &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    host.server.stop().await;
}

#[tokio::test]
async fn what_is_no_name_or_no_value_is_refused_and_not_repeated() {
    let host = Host::start().await;
    for (name, body) in [
        ("-a", json!({"value": "hunter22"})),
        ("a%2Fb", json!({"value": "hunter22"})),
        ("hunter%20hunter22", json!({"value": "x"})),
        ("a", json!({"value": ""})),
        ("a", json!({"value": "hunter22".repeat(10_000)})),
        ("a", json!({})),
    ] {
        let path = format!("/api/secrets/{name}");
        let (status, problem) = host.server.send(Method::PUT, &path, &body).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{name}: {problem}"
        );
        assert!(!problem.to_string().contains("hunter"), "{problem}");
    }
    let empty = secret(&host, &["set", "a"], "\n").await;
    assert_eq!(empty.status.code(), Some(1));
    assert!(said(&empty).contains("standard input"), "{}", said(&empty));
    // An argument could be seen by others.
    let argument = secret(&host, &["set", "a", "hunter22"], "").await;
    assert_eq!(argument.status.code(), Some(2));
    assert_eq!(listed(&host).await, json!([]));
    host.server.stop().await;
}

#[tokio::test]
async fn a_secret_goes_only_where_it_is_bound_to() {
    let mut host = Host::start().await;
    secret(&host, &["set", "hook-token"], "first-value").await;
    let bound =
        |to: &str| format!("secrets.TOKEN = {{ from = \"store:hook-token\", to = [\"{to}\"] }}");
    put(
        &host.folder(),
        "hook.toml",
        toml(&host, &bound("https://other.example")),
    );
    host.plugin_is("hook", "running").await;
    let test = json!({});
    let (_, tested) = host.server.post("/api/plugins/hook/test", &test).await;
    let detail = tested["detail"].as_str().expect("a reason");
    let origins = format!("[\"https://other.example\", \"{}\"]", host.target.origin());
    let line = format!("secrets.TOKEN = {{ from = …, to = {origins} }}");
    assert!(detail.contains(&line), "{tested}");
    // Once it may go there, what waits does.
    assert_eq!(tested["outcome"], "retry", "{tested}");
    let hook = host.server.json("/api/plugins/hook").await;
    assert!(
        hook["recent_log"].to_string().contains("from = …"),
        "{hook}"
    );
    assert_eq!(host.target.requests().len(), 0);

    put(
        &host.folder(),
        "hook.toml",
        toml(&host, &bound(&host.target.origin())),
    );
    host.plugin_is("hook", "running").await;
    let (_, tested) = host.server.post("/api/plugins/hook/test", &test).await;
    assert_eq!(tested["outcome"], "ok", "{tested}");
    assert_eq!(tokens(&host, 1).await, ["first-value"]);

    put(
        &host.folder(),
        "hook.toml",
        toml(&host, &bound("other.example")),
    );
    let wrong = host
        .listed("/api/plugins", |it| it["error"].is_string())
        .await;
    let why = wrong["error"].as_str().expect("an error");
    assert!(
        why.contains("`other.example` in the `to` of secret `TOKEN`"),
        "{why}"
    );
    host.server.stop().await;
}
