//! What an author and an operator read when a plugin cannot be used: what is wrong,
//! in which file and version, and what to do.

use std::{fs, path::Path};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Host, publish};
use crate::{
    sandbox::guest::{Role, SPIN, Source, contract},
    support::folder::{put, webhook},
};

/// As much of it as messages show.
fn digest(wasm: &[u8]) -> String {
    hex::encode(Sha256::digest(wasm))[..12].to_owned()
}

/// What `GET /api/plugins` says of a file that cannot be loaded.
async fn refusal(host: &Host, wasm: Vec<u8>) -> String {
    let which = format!("`bad.wasm` (sha256 {}): ", digest(&wasm));
    put(&host.folder(), "bad.wasm", wasm);
    let is_it = |it: &Value| {
        it["name"] == "bad"
            && it["error"]
                .as_str()
                .is_some_and(|why| why.starts_with(&which))
    };
    let refused = host.listed("/api/plugins", is_it).await;
    let error = refused["error"].as_str().expect("a reason");
    error[which.len()..].to_owned()
}

async fn with_a_bad_one() -> Host {
    let host = Host::start().await;
    put(
        &host.folder(),
        "bad.toml",
        "[plugin.bad]\nfile = \"bad.wasm\"\n",
    );
    host
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a component")
}

#[tokio::test]
async fn what_a_plugin_imports_in_vain_is_named_with_the_way_out() {
    let host = with_a_bad_one().await;
    let wasi = component(
        r#"(component
            (import "wasi:cli/environment@0.2.0" (instance))
            (import "wasi:io/poll@0.2.0" (instance)))"#,
    );
    assert_eq!(
        refusal(&host, wasi).await,
        "it imports WASI, which the sandbox does not have: wasi:cli/environment@0.2.0, \
         wasi:io/poll@0.2.0. Build it with `tiny-forge plugin build`, which compiles for \
         `wasm32-unknown-unknown`; other languages build without WASI or with stubs for it"
    );
    let unknown = component(
        r#"(component
            (import "acme:things/magic" (instance))
            (import "tiny-forge:plugin/mail@1.0.0" (instance))
            (import "tiny-forge:plugin/clock@1.0.0" (instance (export "set" (func)))))"#,
    );
    assert_eq!(
        refusal(&host, unknown).await,
        "it imports what this server does not offer: acme:things/magic, \
         tiny-forge:plugin/mail@1.0.0, tiny-forge:plugin/clock@1.0.0#set. Plugin contract 1.1.0 \
         has `log`, `http`, `sign`, `store`, `clock`: remove the dependency that needs anything \
         else"
    );
    host.server.stop().await;
}

#[tokio::test]
async fn a_newer_contract_is_refused_only_where_something_is_missing() {
    let host = with_a_bad_one().await;
    let sdk = concat!("the SDK of tiny-forge ", env!("CARGO_PKG_VERSION"));
    let newer = contract("1.2.0", "monotonic-ms: func() -> u64;");
    let calls = |function: &str| {
        let call = "(drop (call $clock)) (i32.const 256)";
        let guest = Source::filter(call).import("clock", "clock", function, "(result i64)");
        guest.wit(newer.path()).component()
    };
    assert_eq!(
        refusal(&host, calls("monotonic-ms")).await,
        format!(
            "it is built for plugin contract 1.2.0, and imports what contract 1.1.0 of this \
             server does not have: tiny-forge:plugin/clock@1.2.0#monotonic-ms. Upgrade \
             tiny-forge, or build it with {sdk}"
        )
    );
    let next = contract("2.0.0", "");
    let next = Source::new(Role::Filter).wit(next.path()).component();
    assert_eq!(
        refusal(&host, next).await,
        format!(
            "it is built for plugin contract 2.0.0, this server knows 0.1.0 and 1.1.0: upgrade \
             tiny-forge, or build it with {sdk}"
        )
    );
    put(&host.folder(), "bad.wasm", calls("now-ms"));
    let running = host
        .listed("/api/plugins", |it| it["state"] == "running")
        .await;
    assert_eq!(running["contract"], "1.2.0");
    host.server.stop().await;
}

#[tokio::test]
async fn a_plugin_in_the_place_of_another_role_is_told_where_it_belongs() {
    let host = Host::start().await;
    // Of its description the second field: address and length.
    let version = [512_u32.to_le_bytes(), 5_u32.to_le_bytes()].concat();
    let numbered = |role| Source::new(role).data(72, &version).data(512, b"1.2.3");
    let filter = numbered(Role::Filter).component();
    let sink = numbered(Role::Sink).component();
    put(&host.folder(), "filter.wasm", &filter);
    put(&host.folder(), "sink.wasm", &sink);
    let toml = "[plugin.quiet]\nfile = \"filter.wasm\"\n[plugin.post]\nfile = \"sink.wasm\"\n\
                [pipeline.one]\nsteps = [\"post\"]\nsinks = [\"post\"]\n\
                [pipeline.two]\nsinks = [\"quiet\"]\n";
    put(&host.folder(), "all.toml", toml);
    for (pipeline, plugin, wasm, role, place) in [
        ("one", "post", &sink, "sink", "sinks"),
        ("two", "quiet", &filter, "filter", "steps"),
    ] {
        let is_it = |it: &Value| it["name"] == pipeline && it["state"] == "failed";
        let digest = digest(wasm);
        assert_eq!(
            host.pipeline(is_it).await["error"],
            format!(
                "`{plugin}`, version 1.2.3 (sha256 {digest}), has the role {role}: name it under \
                 `{place}`"
            )
        );
    }
    put(&host.folder(), "sink.wasm", &filter);
    let is_it = |it: &Value| it["name"] == "post" && !it["error"].is_null();
    assert_eq!(
        host.listed("/api/plugins", is_it).await["error"],
        format!(
            "version 1.2.3 (sha256 {}) has the role filter, what ran before has another: give it a \
             `[plugin.NAME]` of its own",
            digest(&filter)
        )
    );
    host.server.stop().await;
}

/// A filter that fails on every event until it is quarantined, and what is said then.
async fn quarantined(wasm: Vec<u8>, config: &str) -> String {
    let host = Host::start().await;
    put(&host.folder(), "bad.wasm", &wasm);
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + &format!(
            "[plugin.bad]\nfile = \"bad.wasm\"\n{config}\n[pipeline.all]\n\
             when.type = \"project_status\"\n\
             steps = [{{ plugin = \"bad\", on_error = \"hold\" }}]\nsinks = [\"hook\"]\n"
        );
    put(&host.folder(), "all.toml", toml);
    host.pipeline(|all| all["state"] == "running").await;
    publish(&host.server, "broken").await;
    let is_it = |it: &Value| it["name"] == "bad" && it["state"] == "quarantined";
    let bad = host.listed("/api/plugins", is_it).await;
    let version = bad["version"].as_str().expect("a version");
    let digest = digest(&wasm);
    let version = match version {
        // Its guest says none.
        "" => format!("sha256 {digest}"),
        number => format!("version {number} (sha256 {digest})"),
    };
    let which = format!("quarantined after repeated faults, the last in {version}: ");
    let error = bad["error"].as_str().expect("a reason");
    let said = error.strip_prefix(&which);
    let said = said.unwrap_or_else(|| panic!("{error}")).to_owned();
    host.server.stop().await;
    said
}

#[tokio::test]
async fn a_trap_is_shown_with_the_functions_that_led_to_it() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/plugins/golden");
    let wasm = fs::read(golden.join("1.0.0/filter.wasm")).expect("a golden file");
    let said = quarantined(wasm, "config.project = \"draft\"").await;
    let (what, frames) = said.split_once('\n').expect("frames");
    assert_eq!(
        what,
        "it trapped (wasm `unreachable` instruction executed): panicked at \
         core/tests/guests/filter/src/lib.rs:51:5: broken after 1"
    );
    let frames: Vec<&str> = frames.lines().map(str::trim).collect();
    assert_eq!(
        frames[0], "at tiny_forge_plugin_filter::broken",
        "{frames:#?}"
    );

    // Built before names were kept.
    let nameless = fs::read(golden.join("0.1.0/filter.wasm")).expect("a golden file");
    let said = quarantined(nameless, "config.project = \"draft\"").await;
    assert!(said.contains("whose name the file does not keep"), "{said}");
}

#[tokio::test]
async fn a_limit_that_is_exceeded_is_named_with_the_setting_that_raises_it() {
    let grows = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
                 (unreachable)";
    for (call, said) in [
        (
            grows,
            "it asked for more than 64 MiB of memory: let it use less, or raise \
             `limits.memory_mib`",
        ),
        (
            SPIN,
            "it computed for more than 50 ms: let it do less at once, or raise `limits.cpu_ms`",
        ),
    ] {
        assert_eq!(
            quarantined(Source::filter(call).component(), "").await,
            said
        );
    }
}

#[tokio::test]
async fn a_plugin_that_does_not_start_says_so_with_its_digest() {
    let host = with_a_bad_one().await;
    let endless = Source::new(Role::Filter).describe(SPIN).component();
    assert_eq!(
        refusal(&host, endless).await,
        "it cannot be started: it computed for more than 1000 ms while it was started: let \
         `describe` and `configure` do less, or raise `limits.start_ms`"
    );
    // Where it panicked, it says why in its log.
    let panics = Source::new(Role::Filter)
        .import("log", "log", "write", "(param i32 i32 i32)")
        .data(512, b"no such table")
        .describe("(call $log (i32.const 3) (i32.const 512) (i32.const 13)) (unreachable)");
    let panics = refusal(&host, panics.component()).await;
    assert!(
        panics.starts_with(
            "it cannot be started: it trapped (wasm `unreachable` instruction executed): no such \
             table\n  at "
        ),
        "{panics}"
    );
    let garbage = refusal(&host, b"#!/bin/sh".to_vec()).await;
    assert!(garbage.starts_with("it is not WebAssembly"), "{garbage}");
    let listed = host.server.json("/api/plugins/bad").await;
    assert_eq!(listed["contract"], json!(null), "{listed}");
    host.server.stop().await;
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_is_named_with_its_place_and_the_remedy() {
    let host = Host::start().await;
    for (rule, wanted) in [
        (
            r#"{ drop_if = 'severity > "warn"', reason = "noise" }"#,
            "/rules/0: `drop_if` of the rule `noise`, column 12: there is no severity \"warn\": use",
        ),
        (
            r#"{ name = "noise", then = "drop", all = [{ field = "stage", equals = "dev" }] }"#,
            "/rules/0: name, then, all, any and none have become one expression: { drop_if = '",
        ),
    ] {
        let toml = format!("[plugin.pick]\nfile = \"builtin:rules\"\nconfig.rules = [{rule}]\n");
        put(&host.folder(), "pick.toml", toml);
        let told = |it: &Value| it["error"].as_str().is_some_and(|why| why.contains(wanted));
        host.listed("/api/plugins", told).await;
    }
    host.server.stop().await;
}
