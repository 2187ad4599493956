//! The binary, as people and scripts use it.

use std::process::Output;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{
    sandbox::hostile,
    support::{
        binary::Binary, folder::put, registry::free_port, server::Server, shared::Shared,
        sse::PATIENCE, wait,
    },
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server on the shared engine, connected.
async fn connected() -> Server {
    let server = Server::with_engine(&Shared::get().engine.address()).await;
    let mut events = server.sse("/api/events?after=0").await;
    events
        .until(|event| event["payload"]["what"] == "engine_connected")
        .await;
    server
}

#[tokio::test]
async fn a_script_can_tell_by_the_exit_code_how_a_command_went() {
    let server = Server::start().await;
    let absent = Binary::new().with("TINY_FORGE_SERVER", "http://127.0.0.1:1");
    let present = Binary::against(&server);
    for (program, arguments, code, named) in [
        (&present, &["events"][..], 0, ""),
        (
            &present,
            &["deploy", "nothing"],
            1,
            "project `nothing` does not exist",
        ),
        (&present, &["deploy", "Not A Name"], 2, "Not A Name"),
        (&present, &["events", "--type", "typo"], 1, "deploy_status"),
        (&present, &["events", "--server", "nowhere"], 2, "--server"),
        (
            &present,
            &["serve", "--data", "d", "--listen", "nowhere"],
            2,
            "`listen` from the flag --listen",
        ),
        (&absent, &["events"], 4, "--server"),
        (&absent, &["events", "--follow"], 4, "--server"),
    ] {
        let output = program.run(arguments).await;
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_deploy_can_be_followed_to_its_end_and_its_exit_code_tells_that() {
    let server = connected().await;
    let spec = serde_json::json!({
        "image": "idle:1", "pull": "never", "stop_grace_ms": 2000, "bake_ms": 0,
        "health": {"min_uptime_ms": 300}
    });
    let body = serde_json::json!({"name": "script", "spec": spec});
    assert_eq!(server.post("/api/projects", &body).await.0, 201);
    let program = Binary::against(&server);
    let good = program.run(&["deploy", "script", "--follow"]).await;
    let said = text(&good.stdout);
    assert_eq!(good.status.code(), Some(0), "{said}");
    for word in ["▸ plan", "✓ gate", "  up", "✓ succeeded"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let bad = program
        .run(&["deploy", "script", "--follow", "--image", "none:1"])
        .await;
    assert_eq!(bad.status.code(), Some(3));
    assert!(text(&bad.stdout).contains("`none:1` is not on this engine"));

    let events = program
        .run(&[
            "events",
            "--json",
            "--project",
            "script",
            "--type",
            "deploy_status",
        ])
        .await;
    let events = text(&events.stdout);
    let last: Value = serde_json::from_str(events.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["payload"]["status"], "failed");
    server.stop().await;
}

#[tokio::test]
async fn the_demo_shows_a_good_release_and_that_an_ill_one_leaves_it_serving() {
    let engine = &Shared::get().engine;
    let server = connected().await;
    for (good, ill) in [(1, 2), (3, 4)] {
        let Output {
            status,
            stdout,
            stderr,
        } = Binary::against(&server).run(&["demo"]).await;
        let (said, noise) = (text(&stdout), text(&stderr));
        assert!(status.success(), "{said}\n{noise}");
        for word in [
            "warming up, 3 of 8",
            "✓ gate",
            "unhealthy",
            "I am not well",
            "failed",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
        let pages = [
            server.url(&format!("/deploys/{good}")),
            server.url(&format!("/deploys/{ill}")),
        ];
        assert!(pages.iter().all(|page| said.contains(page)), "{said}");
        let running = engine.docker(&[
            "ps",
            "--filter",
            "label=tiny-forge.project=demo",
            "--format",
            "{{.Names}}",
        ]);
        assert_eq!(running, format!("demo-prod-{good}-0"));
    }
    server.stop().await;
}

#[tokio::test]
async fn the_kept_description_of_the_api_is_the_one_that_is_served() {
    let printed = text(&Binary::new().run(&["openapi"]).await.stdout);
    let kept = include_str!("../../openapi.json");
    assert!(
        kept == printed,
        "core/openapi.json is stale: run `make api`"
    );
    let server = Server::start().await;
    let served = server.json("/api/openapi.json").await;
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(served, printed);
    server.stop().await;
}

#[tokio::test]
async fn a_reader_who_has_had_enough_is_no_error() {
    let server = Server::start().await.restart().await;
    let program = env!("CARGO_BIN_EXE_tiny-forge");
    let script = "\"$0\" events --server \"$1\" | head -n 1; exit ${PIPESTATUS[0]}";
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-c", script, program, &server.url("")]);
    let output = bash.output().await.expect("bash");
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(text(&output.stdout).lines().count(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_plugin_is_built_from_its_crate_and_then_shown() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let out = dir.path().to_str().expect("UTF-8");
    let crate_dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/plugins/ntfy");
    let built = cargo_user()
        .run(&["plugin", "build", crate_dir, "--out", out])
        .await;
    let said = text(&built.stderr);
    assert!(built.status.success(), "{said}");

    let file = dir.path().join("ntfy.wasm");
    let file = file.to_str().expect("UTF-8");
    let shown = Binary::new().run(&["plugin", "inspect", file]).await;
    let page = text(&shown.stdout);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    for part in [
        "ntfy 0.1.0: sink",
        "http     https://ntfy.sh",
        "topic (required)",
        "[plugin.ntfy]\nfile = \"ntfy.wasm\"",
    ] {
        assert!(page.contains(part), "{part} is missing: {page}");
    }
    let shown = Binary::new()
        .run(&["plugin", "inspect", "--json", file])
        .await;
    let json: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(json["role"], "sink");
    assert_eq!(json["contract"], "1.1.0");
}

#[tokio::test]
async fn the_plugins_of_a_server_are_listed_with_what_they_lack() {
    let server = Server::start().await;
    let toml = "[plugin.hook]\nfile = \"builtin:webhook\"\nconfig.url = \"https://example.org/\"\n\
                config.sign_with = []\n[plugin.ghost]\nfile = \"ghost.wasm\"\n\
                [pipeline.lost]\nsteps = [\"nobody\"]\nsinks = [\"hook\"]\n";
    put(&server.dir.path().join("plugins"), "two.toml", toml);
    for (plugin, state) in [("ghost", "missing"), ("hook", "running")] {
        let is_so = |event: &Value| {
            event["payload"]["plugin"] == plugin && event["payload"]["state"] == state
        };
        let mut events = server.sse("/api/events?after=0&type=plugin_status").await;
        events.until(is_so).await;
    }
    let program = Binary::against(&server);
    let table = text(&program.run(&["plugin", "list"]).await.stdout);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("NAME   ROLE  STATE"), "{table}");
    assert!(lines[1].starts_with("ghost  -     missing"), "{table}");
    assert!(lines[2].contains("ghost.wasm"), "why it fails: {table}");
    assert!(table.contains("hook   sink  running"), "{table}");
    let lost = "pipeline lost failed: plugin `nobody` is not configured: add [plugin.nobody]";
    assert!(table.contains(lost), "{table}");

    let json = text(&program.run(&["plugin", "list", "--json"]).await.stdout);
    let names = json.lines().map(|line| {
        let plugin: Value = serde_json::from_str(line).expect("JSON");
        plugin["name"].as_str().map(str::to_owned)
    });
    let names: Vec<_> = names.flatten().collect();
    assert_eq!(names, ["ghost", "hook"]);
    server.stop().await;
}

#[tokio::test]
async fn a_file_or_folder_that_is_no_plugin_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("not.wasm");
    std::fs::write(&file, "not wasm").expect("written");
    let file = file.to_str().expect("UTF-8");
    let bomb = dir.path().join("bomb.wasm");
    let hostile = hostile::all().into_iter();
    let mut with_schema = hostile.filter(|guest| guest.name == "schema-bomb");
    let guest = with_schema.next().expect("one of the hostile guests");
    std::fs::write(&bomb, guest.wasm).expect("written");
    let bomb = bomb.to_str().expect("UTF-8");
    let out = dir.path().to_str().expect("UTF-8");
    for (arguments, said) in [
        (vec!["plugin", "inspect", file], "tiny-forge plugin build"),
        (vec!["plugin", "inspect", "/nowhere.wasm"], "cannot be read"),
        (
            vec!["plugin", "inspect", bomb],
            "the `config-schema` of `describe`",
        ),
        (vec!["plugin", "build", out, "--out", out], "Cargo.toml"),
    ] {
        let output = cargo_user().run(&arguments).await;
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}

/// The program as somebody runs it who has cargo.
#[allow(
    clippy::disallowed_methods,
    reason = "cargo needs the environment that this test was given"
)]
fn cargo_user() -> Binary {
    let names = [
        "PATH",
        "HOME",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "CARGO_TARGET_DIR",
    ];
    let given = names
        .iter()
        .filter_map(|name| Some((*name, std::env::var(name).ok()?)));
    given.fold(Binary::new(), |binary, (name, value)| {
        binary.with(name, &value)
    })
}

#[tokio::test]
async fn who_follows_a_quiet_server_misses_nothing_through_its_restart() {
    let listen = format!("127.0.0.1:{}", free_port());
    let server = Server::configured(|_, args| args.listen = Some(listen)).await;
    let mut follower = Binary::against(&server).spawn(&["events", "--follow"]);
    let follows = async || (server.subscriptions().await.len() == 1).then_some(());
    wait::answer(follows).await.expect("it follows");
    let server = server.restart().await;
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let told = async {
        loop {
            let line = lines.next_line().await.expect("readable").expect("a line");
            if line.contains("started") {
                break;
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await;
    told.expect("the start, which nobody was there to hear");
    server.stop().await;
}
