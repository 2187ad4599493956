//! A pipeline beside real deploys: what they do to their own instances is no alarm.

use serde_json::Value;

use super::throttle::planned;
use crate::support::{
    bench::bench,
    folder::{put, webhook},
    server::Server,
    target::Target,
    wait,
};

#[tokio::test]
async fn a_redeploy_ends_its_old_instance_silently_and_an_end_by_itself_is_told() {
    let bench = bench().await;
    let mut events = bench.server.sse("/api/events?after=0").await;
    let target = Target::start().await;
    let toml = webhook("hook", "builtin:webhook", &target)
        + "[pipeline.alarms]\nwhen = { type = \"instance_status\", project = \"calm\" }\n\
           sinks = [\"hook\"]\n";
    put(&bench.server.dir.path().join("plugins"), "hook.toml", toml);
    pipeline(&bench.server, |it| it["state"] == "running").await;

    bench
        .project("calm", |spec| spec["restart"] = "no".into())
        .await;
    for generation in 1..=2 {
        let deploy = bench.deploy("calm").await;
        assert_eq!(deploy["status"], "succeeded", "{generation}: {deploy}");
    }
    let ended = |instance: &'static str| {
        move |event: &Value| {
            event["type"] == "instance_status"
                && event["payload"]["name"] == instance
                && event["payload"]["status"] == "exited"
        }
    };
    let planned_end = events.until(ended("calm-prod-1-0")).await;
    assert_eq!(planned_end["payload"]["planned"], true, "{planned_end}");
    bench.engine.docker(&["kill", "calm-prod-2-0"]);
    let sudden_end = events.until(ended("calm-prod-2-0")).await;
    assert_eq!(sudden_end["payload"]["planned"], false, "{sudden_end}");

    let told = target.received(1).await;
    assert_eq!(planned(&told), [false], "{told:?}");
    let name = told[0].json()["data"]["events"][0]["payload"]["name"].take();
    assert_eq!(name, "calm-prod-2-0");
    let path = format!("/api/events/{}/trace", planned_end["id"]);
    let trace = bench.server.json(&path).await;
    assert_eq!(trace["pipelines"][0]["outcome"], "silent", "{trace}");
    assert_eq!(
        pipeline(&bench.server, |it| it["seen"] == 1).await["dropped"],
        0
    );
    bench.server.stop().await;
}

/// Waits until the one pipeline is as `wanted` says.
async fn pipeline(server: &Server, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = wait::answer(async || {
        let listed = server.json("/api/pipelines").await;
        let it = listed["items"].get(0)?;
        wanted(it).then(|| it.clone())
    });
    found.await.expect("the pipeline comes to be so")
}
