//! The binary, as people and scripts use it.

use std::process::Output;

use crate::support::{binary::Binary, server::Server, shared::Shared};

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
        "image": "idle:1", "pull": "never", "stop_grace_ms": 2000,
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
    let last: serde_json::Value =
        serde_json::from_str(events.lines().last().expect("a line")).expect("JSON");
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
    let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
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
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    server.stop().await;
}
