//! A target that is away for longer than a queue can be.

use serde_json::Value;

use super::Host;
use crate::support::{
    folder::{put, webhook},
    note::note,
    target::Answer,
};

/// As many wait for one sink at most.
const QUEUE: usize = 10_000;
const OVER: usize = 20;

#[tokio::test]
async fn a_queue_that_is_full_gives_up_its_oldest_says_so_and_sends_the_others_in_order() {
    let host = Host::start().await;
    let busy = (0..20).map(|_| Answer::new(503, "busy"));
    host.target.answer_next(busy);
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen.type = \"system\"\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", toml);
    host.pipeline(|it| it["state"] == "running").await;
    let bus = host.server.bus();
    bus.publish(note("0")).expect("published");
    host.target.received(1).await;
    for from in (1..QUEUE + OVER).step_by(500) {
        let numbers = from..(from + 500).min(QUEUE + OVER);
        let notes = numbers.map(|n| note(&n.to_string())).collect();
        bus.publish_all(notes).await.expect("published");
    }
    let is_full = |it: &Value| {
        let queue = &it["queue"];
        queue["pending"] == QUEUE && queue["dead"] == OVER
    };
    host.listed("/api/plugins", is_full).await;
    let dead = host.server.json("/api/deliveries?status=dead").await;
    let dead = dead["items"].as_array().expect("items");
    let full = "overflow: the queue of this sink is full";
    assert!(dead.iter().all(|it| it["last_error"] == full), "{dead:?}");
    let told = host.server.json("/api/events?type=delivery_status").await;
    let told = told["items"].as_array().expect("items");
    assert_eq!(
        told.iter()
            .filter(|it| it["payload"]["reason"] == full)
            .count(),
        OVER
    );

    // The first of all is being sent meanwhile, and is not given up.
    host.target.recover();
    let is_there = |body: &str| body.contains(&format!("\"message\":\"{}\"", OVER + 3));
    let requests = host
        .target
        .until(|all| all.iter().any(|it| is_there(&it.body)));
    let requests = requests.await;
    let mut messages: Vec<String> = requests
        .iter()
        .map(|it| it.json()["data"]["events"][0]["payload"]["message"].to_string())
        .collect();
    messages.dedup();
    let expected = [0, OVER + 1, OVER + 2, OVER + 3].map(|n| format!("\"{n}\""));
    assert_eq!(messages[..4], expected);
    host.server.stop().await;
}
