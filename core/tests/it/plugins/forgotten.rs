//! Plugins and pipelines that no file names any more.

use std::{fs, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tiny_forge::plugin_host::ForgetAfter;

use super::{Host, projects_told, publish};
use crate::support::{
    folder::{put, webhook},
    server::Server,
    target::Answer,
};

#[tokio::test]
async fn what_waits_for_a_sink_that_nobody_names_becomes_dead_letters_and_its_pipeline_starts_afresh()
 {
    let soon = ForgetAfter {
        places: Duration::ZERO,
        values: Duration::ZERO,
    };
    let mut host = Host::on(Server::forgetting_after(soon).await).await;
    let others = "[plugin.stays]\nfile = \"builtin:rules\"\nconfig.rules = []\n";
    put(&host.folder(), "stays.toml", others);
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", &toml);
    host.pipeline(|it| it["state"] == "running").await;
    host.target.answer_next([Answer::slack_rate_limited(3_600)]);
    publish(&host.server, "first").await;
    host.delivery_is("retrying").await;

    fs::remove_file(host.folder().join("hook.toml")).expect("removed");
    let dead = host.delivery_is("dead").await;
    let reason = "its sink is no longer configured: replay it once it is";
    assert_eq!(dead["last_error"], reason);
    publish(&host.server, "meanwhile").await;

    put(&host.folder(), "hook.toml", &toml);
    let begun = |it: &Value| it["state"] == "running" && it["seen"] == 0;
    host.pipeline(begun).await;
    publish(&host.server, "second").await;
    host.target.received(2).await;
    let path = "/api/plugins/hook/replay";
    let (status, answer) = host.server.post(path, &json!({})).await;
    assert_eq!(
        (status, &answer["replayed"]),
        (StatusCode::ACCEPTED, &json!(1))
    );
    let requests = host.target.received(3).await;
    assert_eq!(projects_told(&requests), ["first", "second", "first"]);
    host.server.stop().await;
}
