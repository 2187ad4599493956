//! The binary, as people and scripts use it.

use std::process::Output;

use crate::support::{binary::Binary, server::Server, shared::Shared};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_demo_shows_a_good_release_and_that_an_ill_one_leaves_it_serving() {
    let engine = &Shared::get().engine;
    let server = Server::with_engine(&engine.address()).await;
    let mut events = server.sse("/api/events?after=0").await;
    events
        .until(|event| event["payload"]["what"] == "engine_connected")
        .await;
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
