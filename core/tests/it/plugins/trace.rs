//! The way of one event through all pipelines, as the API tells it.

use serde_json::{Value, json};

use super::{Host, publish};
use crate::{
    sandbox::guest::Source,
    support::{
        folder::{put, put_built, webhook},
        target::{Answer, Target},
    },
};

/// Of the event that tells of a project.
async fn trace(host: &Host, project: &str) -> Value {
    let page = host.server.json("/api/events?type=project_status").await;
    let mut items = page["items"].as_array().expect("items").iter();
    let event = items.find(|event| event["payload"]["project"] == project);
    let id = &event.expect("it was published")["id"];
    host.server.json(&format!("/api/events/{id}/trace")).await
}

#[tokio::test]
async fn an_event_tells_who_saw_it_what_they_said_and_where_it_went() {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[plugin.pick]\nfile = \"builtin:rules\"\n\
           config.rules = [{ drop_if = 'project.startsWith(\"draft-\")', reason = \"no drafts\" }]\n\
           [pipeline.all]\nwhen.type = \"project_status\"\nsteps = [\"pick\"]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    publish(&host.server, "draft-1").await;
    publish(&host.server, "shop").await;
    host.delivery_is("delivered").await;

    let digest = host.server.json("/api/plugins/pick").await["digest"].clone();
    let sent = trace(&host, "shop").await;
    assert_eq!(sent["pipelines"][0]["pipeline"], "all");
    assert_eq!(sent["pipelines"][0]["outcome"], "passed");
    let step = &sent["pipelines"][0]["steps"][0];
    assert_eq!(
        (&step["plugin"], &step["decision"]),
        (&"pick".into(), &"keep".into())
    );
    assert_eq!(step["digest"], digest);
    assert!(
        step["version"].is_string() && step["duration_us"].is_u64(),
        "{step}"
    );
    assert_eq!(sent["deliveries"][0]["status"], "delivered");

    let dropped = trace(&host, "draft-1").await;
    assert_eq!(dropped["pipelines"][0]["outcome"], "dropped");
    let step = &dropped["pipelines"][0]["steps"][0];
    assert_eq!(step["detail"], "no drafts");
    assert_eq!(dropped["deliveries"], json!([]));
    let url = host.server.url("/api/events/999999/trace");
    let absent = host.server.http.get(url).send().await.expect("an answer");
    assert_eq!(absent.status(), 404);
    host.server.stop().await;
}

#[tokio::test]
async fn a_trace_has_every_pipeline_what_each_step_added_or_failed_at_and_every_delivery() {
    let host = Host::start().await;
    let other = Target::start().await;
    other.answer_next([Answer::new(400, "no such channel")]);
    let folder = host.folder();
    put_built(&folder, "team", "team.wasm");
    let traps = Source::filter("(unreachable)").component();
    put(&folder, "broken.wasm", traps);
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + &webhook("other", "builtin:webhook", &other)
        + r#"[plugin.team]
file = "team.wasm"
config = { owners = { shop = "checkout" } }
[plugin.broken]
file = "broken.wasm"
[plugin.pick]
file = "builtin:rules"
config.rules = [{ drop_if = 'annotations.team.owner == "checkout"', reason = "theirs" }]
[pipeline.all]
when.type = "project_status"
steps = ["team", { plugin = "broken", on_error = "pass" }]
sinks = ["hook", "other"]
[pipeline.some]
when.type = "project_status"
steps = ["team", "pick"]
sinks = ["hook"]
"#;
    put(&folder, "all.toml", toml);
    for pipeline in ["all", "some"] {
        host.pipeline(|it| it["name"] == pipeline && it["state"] == "running")
            .await;
    }
    publish(&host.server, "shop").await;
    host.pipeline(|it| it["name"] == "all" && it["seen"] == 1)
        .await;
    host.pipeline(|it| it["name"] == "some" && it["dropped"] == 1)
        .await;
    host.listed("/api/deliveries", |it| it["status"] == "dead")
        .await;
    host.listed("/api/deliveries", |it| it["status"] == "delivered")
        .await;

    let told = trace(&host, "shop").await;
    let mut pipelines = told["pipelines"].as_array().cloned().expect("pipelines");
    pipelines.sort_by_key(|it| it["pipeline"].to_string());
    let steps = |pipeline: &Value| {
        let steps = pipeline["steps"].as_array().expect("steps").iter();
        steps
            .map(|it| format!("{} {}", it["plugin"], it["decision"]).replace('"', ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(pipelines[0]["outcome"], "passed");
    assert_eq!(steps(&pipelines[0]), ["team added", "broken failed"]);
    assert_eq!(pipelines[1]["outcome"], "dropped");
    assert_eq!(steps(&pipelines[1]), ["team added", "pick drop"]);
    let detail = |pipeline: usize, step: usize| {
        let detail = &pipelines[pipeline]["steps"][step]["detail"];
        detail.as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(detail(0, 0), r#"{"owner":"checkout"}"#);
    assert!(detail(0, 1).contains("trap"), "{told}");
    assert_eq!(detail(1, 1), "theirs");
    for plugin in ["team", "broken"] {
        let digest = host.server.json(&format!("/api/plugins/{plugin}")).await["digest"].clone();
        let mut steps = pipelines[0]["steps"].as_array().expect("steps").iter();
        let step = steps.find(|it| it["plugin"] == plugin).expect("a step");
        assert!(digest.is_string() && step["digest"] == digest, "{step}");
    }
    let deliveries = told["deliveries"].as_array().expect("deliveries").iter();
    let deliveries = deliveries.map(|it| {
        let all = [&it["pipeline"], &it["sink"], &it["status"], &it["attempts"]];
        json!(all)
    });
    let mut deliveries: Vec<Value> = deliveries.collect();
    for delivery in told["deliveries"].as_array().expect("deliveries") {
        let sink = host
            .server
            .json(&format!(
                "/api/plugins/{}",
                delivery["sink"].as_str().expect("a sink")
            ))
            .await;
        assert!(
            sink["digest"].is_string() && delivery["digest"] == sink["digest"],
            "{delivery}"
        );
        assert_eq!(delivery["version"], sink["version"]);
    }
    deliveries.sort_by_key(ToString::to_string);
    assert_eq!(
        deliveries,
        [
            json!(["all", "hook", "delivered", 1]),
            json!(["all", "other", "dead", 1]),
        ]
    );
    host.server.stop().await;
}
