//! Plugins that are not there: each delays its own sink, or the pipelines that ask it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Host, projects_told, publish};
use crate::{
    sandbox::guest::Source,
    support::{
        folder::{put, put_built, webhook},
        note::note,
        target::Received,
    },
};

#[tokio::test]
async fn a_sink_whose_secret_is_missing_delays_no_other_and_gets_later_what_was_for_it() {
    let host = Host::start().await;
    let toml = webhook("slack", "builtin:webhook", &host.target)
        + &webhook("mail", "builtin:webhook", &host.target)
        + "config.headers.x-token = \"{secret:TOKEN}\"\nsecrets.TOKEN = \"store:mail-token\"\n\
           [pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"mail\", \"slack\"]\n";
    put(&host.folder(), "all.toml", toml);
    let is_down = |it: &Value| it["name"] == "mail" && it["state"] == "failed";
    host.listed("/api/plugins", is_down).await;
    host.pipeline(|it| it["state"] == "running").await;
    publish(&host.server, "shop").await;
    assert_eq!(host.target.received(1).await[0].path, "/slack");
    let waits = |it: &Value| it["sink"] == "mail" && it["status"] == "pending";
    let waiting = host.listed("/api/deliveries", waits).await;
    assert_eq!(waiting["attempts"], 0, "{waiting}");

    let host = host.restarted().await;
    host.listed("/api/plugins", is_down).await;
    host.pipeline(|it| it["state"] == "running").await;
    publish(&host.server, "blog").await;
    assert_eq!(host.target.received(2).await[1].path, "/slack");

    let secret = json!({"value": "mail-secret"});
    let path = "/api/secrets/mail-token";
    let (status, answer) = host.server.send(Method::PUT, path, &secret).await;
    assert!(status.is_success(), "{answer}");
    let requests = host.target.received(4).await;
    let late = &requests[2..];
    let to_mail = |it: &Received| it.path == "/mail" && it.header("x-token") == "mail-secret";
    assert!(late.iter().all(to_mail));
    assert_eq!(projects_told(late), ["shop", "blog"]);
    host.server.stop().await;
}

#[tokio::test]
async fn a_plugin_that_turns_out_to_be_no_sink_fails_its_pipeline_once_it_is_there() {
    let host = Host::start().await;
    let toml = "[plugin.rules]\nfile = \"rules.wasm\"\nconfig.rules = []\n\
                [pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"rules\"]\n";
    put(&host.folder(), "all.toml", toml);
    host.pipeline(|it| it["state"] == "running").await;
    put_built(&host.folder(), "rules", "rules.wasm");
    let failed = host.pipeline(|it| it["state"] == "failed").await;
    let error = failed["error"].as_str().expect("a reason");
    assert!(error.starts_with("`rules`, version "), "{error}");
    let remedy = "has the role filter: name it under `steps`";
    assert!(error.ends_with(remedy), "{error}");
    host.server.stop().await;
}

/// Computes for a while each time.
fn slow() -> Source {
    let call = "(global.set $n (i32.const 100000000))
        (loop $more
            (global.set $n (i32.sub (global.get $n) (i32.const 1)))
            (br_if $more (global.get $n)))
        (i32.const 256)";
    Source::filter(call).extra("(global $n (mut i32) (i32.const 0))")
}

#[tokio::test]
async fn what_has_passed_a_slow_step_does_not_wait_for_what_comes_after_it() {
    const EVENTS: usize = 64;
    let host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[plugin.slow]\nfile = \"slow.wasm\"\nlimits = { cpu_ms = 9000, wall_ms = 60000 }\n\
           [pipeline.all]\nwhen.type = \"system\"\nsteps = [\"slow\"]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "slow.wasm", slow().component());
    put(&host.folder(), "all.toml", toml);
    host.pipeline(|it| it["state"] == "running").await;
    let notes = (0..EVENTS).map(|n| note(&n.to_string())).collect();
    let published = host.server.bus().publish_all(notes).await;
    published.expect("published");
    host.target.received(1).await;
    let all = host.pipeline(|it| it["seen"] != 0).await;
    let seen = all["seen"].as_u64().expect("a number");
    assert!(seen < EVENTS as u64 / 2, "{seen} were decided by then");
    host.server.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_due_does_not_wait_for_a_step_that_is_away_at_the_start() {
    let host = Host::start().await;
    let toml = |steps: &str| {
        webhook("hook", "builtin:webhook", &host.target)
            + "[plugin.late]\nfile = \"late.wasm\"\n\
               [pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n\
               batch = { events = 10, wait = \"8s\" }\n"
            + steps
    };
    put(&host.folder(), "all.toml", toml(""));
    host.pipeline(|it| it["state"] == "running").await;
    publish(&host.server, "shop").await;
    host.pipeline(|it| it["batched"] == 1).await;
    put(&host.folder(), "all.toml", toml("steps = [\"late\"]\n"));
    let waits = |it: &Value| it["error"] == "waits for plugin `late`";
    host.pipeline(|it| waits(it) && it["batched"] == 1).await;
    let requests = host.target.received(1).await;
    assert_eq!(projects_told(&requests), ["shop"]);
    host.pipeline(|it| waits(it) && it["batched"] == 0).await;
    host.server.stop().await;
}
