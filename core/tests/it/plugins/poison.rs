//! Deliveries on which their sink itself fails.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Host, projects_told, publish};
use crate::{
    sandbox::guest::{Role, Source},
    support::{
        binary::Binary,
        folder::{put, put_built, webhook},
    },
};

/// A sink that traps, under the name of a webhook.
async fn trapping(pipeline: &str) -> Host {
    let mut host = Host::start().await;
    let traps = Source::new(Role::Sink).call("(unreachable)");
    put(&host.folder(), "hook.wasm", traps.component());
    let toml = webhook("hook", "hook.wasm", &host.target)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n"
        + pipeline;
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    host
}

/// That a plugin was given a delivery so often, and failed.
fn failed_five_times(delivery: &Value) {
    let attempts = delivery["attempt_list"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 5, "{delivery}");
    for attempt in attempts {
        assert_eq!(attempt["outcome"], "fault", "{delivery}");
    }
    let reason = delivery["last_error"].as_str().expect("a reason");
    assert!(
        reason.contains("plugin `hook`") && reason.contains("`unreachable`"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_delivery_on_which_its_sink_traps_is_a_dead_letter_and_a_better_file_gets_the_others() {
    let mut host = trapping("").await;
    publish(&host.server, "first").await;
    publish(&host.server, "second").await;
    let dead = host.delivery_is("dead").await;
    failed_five_times(&dead);
    let listed = Binary::against(&host.server).run(&["plugin", "list"]).await;
    let listed = String::from_utf8(listed.stdout).expect("text");
    let remedy = "1 given up: the page Plugins shows why and sends them again, as does \
        POST /api/plugins/hook/replay";
    assert!(listed.contains(remedy), "{listed}");
    let waits = |it: &Value| it["status"] == "pending" && it["attempts"] == 0;
    let next = host.listed("/api/deliveries", waits).await;

    put_built(&host.folder(), "webhook", "hook.wasm");
    let delivered = host.delivery_is("delivered").await;
    assert_eq!(delivered["id"], next["id"]);
    assert_eq!(projects_told(&host.target.requests()), ["second"]);
    let id = dead["id"].as_str().expect("an id");
    let replay = format!("/api/deliveries/{id}/replay");
    let (status, _) = host.server.post(&replay, &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(host.delivery_is("delivered").await["id"], dead["id"]);
    host.server.stop().await;
}

#[tokio::test]
async fn a_batch_on_which_its_sink_traps_goes_on_in_halves() {
    let mut host = trapping("batch = { events = 2, wait = \"1h\" }\n").await;
    publish(&host.server, "first").await;
    publish(&host.server, "second").await;
    failed_five_times(&host.delivery_is("split").await);
    put_built(&host.folder(), "webhook", "hook.wasm");
    let requests = host.target.received(2).await;
    for (request, project) in requests.iter().zip(["first", "second"]) {
        assert_eq!(projects_told(std::slice::from_ref(request)), [project]);
    }
    host.server.stop().await;
}
