//! Every guest that means harm: its fault is of its kind, counted and shown, and
//! the others go on.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use super::{Host, projects_told, publish};
use crate::{
    sandbox::{
        guest::{Role, Source},
        hostile::{self, Hostile, compile_bomb},
    },
    support::{
        folder::{put, webhook},
        server::Server,
    },
};

const PROJECTS: [&str; 5] = ["one", "two", "three", "four", "five"];

/// Each in a pipeline of its own, beside one that means well.
fn toml(host: &Host, guests: &[Hostile]) -> String {
    let mut toml = webhook("good", "builtin:webhook", &host.target)
        + &webhook("late", "builtin:webhook", &host.target)
        + "[pipeline.good]\nwhen.type = \"project_status\"\nsinks = [\"good\"]\n";
    for guest in guests {
        toml += &guest.toml("project_status");
    }
    toml
}

fn faults(plugin: &Value, kind: &str) -> u64 {
    let counted = &plugin["calls"]["faults_by_kind"][kind];
    counted.as_u64().unwrap_or(0)
}

#[tokio::test]
async fn every_hostile_guest_has_its_fault_counted_and_shown_and_the_others_go_on() {
    let host = Host::start().await;
    let guests = hostile::all();
    for Hostile { name, wasm, .. } in &guests {
        put(&host.folder(), &format!("{name}.wasm"), wasm);
    }
    put(&host.folder(), "all.toml", toml(&host, &guests));
    for Hostile { name, at_start, .. } in &guests {
        let state = if *at_start { "failed" } else { "running" };
        host.listed("/api/plugins", |it| {
            it["name"] == *name && it["state"] == state
        })
        .await;
    }
    host.pipeline(|it| it["name"] == "good" && it["state"] == "running")
        .await;
    let mut stream = host.server.sse("/api/events?type=project_status").await;
    for project in PROJECTS {
        publish(&host.server, project).await;
    }
    for project in PROJECTS {
        let event = stream.event().await.expect("the stream goes on");
        assert_eq!(event["payload"]["project"], project);
    }
    for Hostile {
        name,
        kind,
        at_start,
        ..
    } in &guests
    {
        let counted = |it: &Value| it["name"] == *name && faults(it, kind) >= 1;
        let plugin = host.listed("/api/plugins", counted).await;
        let others = plugin["calls"]["faults"] != faults(&plugin, kind);
        assert!(!others, "{name}: {}", plugin["calls"]);
        let last = &plugin["last_fault"];
        if plugin["state"] != "failed" {
            assert_eq!(last["kind"], *kind, "{name}: {last}");
            let text = last["text"].as_str();
            assert!(text.is_some_and(|it| it.len() > 10), "{name}: {last}");
        }
        if *at_start {
            assert!(
                plugin["error"].as_str().is_some_and(|it| it.len() > 20),
                "{plugin}"
            );
        }
    }
    // Their own events go on as well, without them.
    let steps = guests.iter().filter(|it| !it.at_start && !it.is_sink);
    let requests = (host.target)
        .received((steps.count() + 1) * PROJECTS.len())
        .await;
    let (good, _): (Vec<_>, Vec<_>) = requests.into_iter().partition(|it| it.path == "/good");
    assert_eq!(projects_told(&good), PROJECTS);
    host.server.stop().await;
}

#[tokio::test]
async fn machine_code_that_was_tampered_with_is_counted_and_never_run() {
    let mut host = Host::start().await;
    let wasm = Source::new(Role::Filter).component();
    put(&host.folder(), "kept.wasm", &wasm);
    put(
        &host.folder(),
        "kept.toml",
        "[plugin.kept]\nfile = \"kept.wasm\"\n",
    );
    host.plugin_is("kept", "running").await;
    let data = host.server.dir.path().join("data");
    let cache = data.join("cache");
    // Code that somebody else could put there would be run.
    for folder in [
        &data,
        &cache,
        &data.join("accepted"),
        &data.join("accepted/kept"),
    ] {
        let mode = fs::metadata(folder).expect("a folder").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }
    for entry in fs::read_dir(cache).expect("a folder") {
        let path = entry.expect("an entry").path();
        let mut code = fs::read(&path).expect("machine code");
        let middle = code.len() / 2;
        code[middle] ^= 0xff;
        fs::write(&path, code).expect("tampered");
    }
    // The same file, put there again.
    put(&host.folder(), "kept.wasm", &wasm);
    let kept = host
        .listed("/api/plugins", |it| faults(it, "tampered_cache") == 1)
        .await;
    assert_eq!(kept["state"], "running");
    host.server.stop().await;
}

/// Our own program, with less room than it gives itself.
fn confined(dir: &Path, limit: &str) -> String {
    let path = dir.join("confined");
    let program = env!("CARGO_BIN_EXE_tiny-forge");
    let script = format!("#!/bin/sh\nulimit {limit}\nexec {program} \"$@\"\n");
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("executable");
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[tokio::test]
async fn a_compile_bomb_ends_with_its_compiler_and_nothing_else() {
    // Seconds of computing; KiB of memory, which are enough for an honest one.
    for (limit, conditions) in [("-t 1", 60_000), ("-v 300000", 20_000)] {
        let compiler = |dir: &Path| confined(dir, limit);
        let mut host = Host::on(Server::compiling_with(compiler).await).await;
        put(&host.folder(), "bomb.wasm", compile_bomb(conditions));
        put(
            &host.folder(),
            "bomb.toml",
            "[plugin.bomb]\nfile = \"bomb.wasm\"\n",
        );
        let failed = host.plugin_is("bomb", "failed").await;
        assert_eq!(faults(&failed, "compile"), 1, "{limit}: {failed}");
        let honest = webhook("hook", "builtin:webhook", &host.target);
        put(&host.folder(), "hook.toml", honest);
        host.plugin_is("hook", "running").await;
        host.server.stop().await;
    }
}
