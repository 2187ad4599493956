//! A plugin that misbehaves harms nobody but itself.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tiny_forge::model::{
    Actor, NewEvent, Payload, ProjectChange, ProjectStatusPayload, Severity, Subject, Timestamp,
};

use super::{Host, projects_told, publish};
use crate::{
    sandbox::guest::Source,
    support::{
        binary::Binary,
        folder::{put, webhook},
        note::note,
        target::Received,
    },
};

/// A filter that never comes to an answer.
fn endless() -> Vec<u8> {
    Source::filter("(loop $again (br $again)) (unreachable)").component()
}

/// Two pipelines: `bad` with the endless filter before its own sink, `good`
/// without it.
async fn two_pipelines(on_error: &str) -> Host {
    let host = Host::start().await;
    put(&host.folder(), "endless.wasm", endless());
    let toml = webhook("slow", "builtin:webhook", &host.target)
        + &webhook("quick", "builtin:webhook", &host.target)
        + &format!(
            "[plugin.endless]\nfile = \"endless.wasm\"\n\
             [pipeline.bad]\nwhen.type = \"project_status\"\n\
             steps = [{{ plugin = \"endless\", on_error = \"{on_error}\" }}]\nsinks = [\"slow\"]\n\
             [pipeline.good]\nwhen.type = \"project_status\"\nsinks = [\"quick\"]\n"
        );
    put(&host.folder(), "all.toml", toml);
    for plugin in ["slow", "quick", "endless"] {
        host.listed("/api/plugins", |it| {
            it["name"] == plugin && it["state"] == "running"
        })
        .await;
    }
    for pipeline in ["bad", "good"] {
        host.pipeline(|it| it["name"] == pipeline && it["state"] == "running")
            .await;
    }
    host
}

fn made(project: &str) -> NewEvent {
    let payload = ProjectStatusPayload {
        project: project.parse().expect("a name"),
        change: ProjectChange::Created,
        stage: None,
    };
    NewEvent::new(
        Subject::other("test"),
        Severity::Info,
        Actor::system("test"),
        Payload::ProjectStatus(payload),
    )
}

/// What arrived at one of the two sinks.
fn told(host: &Host, path: &str) -> Vec<String> {
    let mut requests = host.target.requests();
    requests.retain(|request| request.path == path);
    projects_told(&requests)
}

#[tokio::test]
async fn a_filter_that_never_ends_delays_nobody_else_and_its_own_events_go_on() {
    let host = two_pipelines("pass").await;
    let projects: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
    // At once: how fast they are published decides nothing.
    let events = projects.iter().map(|project| made(project)).collect();
    host.server
        .bus()
        .publish_all(events)
        .await
        .expect("published");
    host.target.received(2 * projects.len()).await;
    assert_eq!(told(&host, "/quick"), projects);
    assert_eq!(told(&host, "/slow"), projects);
    // The good sink had everything while the bad filter was still being tried.
    let order: Vec<String> = host
        .target
        .requests()
        .into_iter()
        .map(|it| it.path)
        .collect();
    let last_quick = order.iter().rposition(|path| path == "/quick");
    let last_slow = order.iter().rposition(|path| path == "/slow");
    assert!(last_quick < last_slow, "{order:?}");
    let listed = host.server.json("/api/plugins/endless").await;
    assert!(listed["calls"]["faults"].as_u64() >= Some(1), "{listed}");
    host.server.stop().await;
}

#[tokio::test]
async fn a_filter_that_fails_again_and_again_is_quarantined_with_its_reason() {
    let mut host = two_pipelines("hold").await;
    publish(&host.server, "shop").await;
    let quarantined = host.plugin_is("endless", "quarantined").await;
    let error = quarantined["error"].as_str().expect("a reason");
    assert!(error.contains("50 ms"), "{error}");
    let held = host
        .pipeline(|it| it["name"] == "bad" && it["state"] == "paused")
        .await;
    assert!(
        held["error"]
            .as_str()
            .is_some_and(|why| why.contains("endless")),
        "{held}"
    );
    assert_eq!(told(&host, "/quick"), ["shop"]);
    assert!(told(&host, "/slow").is_empty(), "a held event waits");
    // Whoever mends the file ends the quarantine.
    put(
        &host.folder(),
        "endless.wasm",
        Source::filter("(i32.const 256)").component(),
    );
    host.plugin_is("endless", "running").await;
    host.target.received(2).await;
    assert_eq!(told(&host, "/slow"), ["shop"]);
    host.server.stop().await;
}

#[tokio::test]
async fn what_a_step_wrote_for_an_event_that_is_held_is_not_there_when_it_is_asked_again() {
    let mut host = Host::start().await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/plugins/golden/1.0.0");
    let counter = fs::read(golden.join("filter.wasm")).expect("a plugin");
    put(&host.folder(), "counter.wasm", counter);
    put(&host.folder(), "endless.wasm", endless());
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[plugin.counter]\nfile = \"counter.wasm\"\nconfig.project = \"none\"\n\
           [plugin.endless]\nfile = \"endless.wasm\"\n\
           [pipeline.all]\nwhen.type = \"project_status\"\n\
           steps = [\"counter\", { plugin = \"endless\", on_error = \"hold\" }]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "all.toml", toml);
    host.pipeline(|it| it["state"] == "running").await;
    publish(&host.server, "shop").await;
    // It was asked several times by then.
    host.plugin_is("endless", "quarantined").await;
    let counter = host.server.json("/api/plugins/counter").await;
    let lines = counter["recent_log"].as_array().expect("a log").iter();
    let said: Vec<&Value> = lines.map(|line| &line["message"]).collect();
    assert!(said.len() > 1, "{said:?}");
    assert!(said.iter().all(|line| **line == "1: shop"), "{said:?}");
    host.server.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_due_does_not_wait_for_an_event_that_is_held() {
    let host = Host::start().await;
    let holds = Source::filter("(unreachable)").component();
    put(&host.folder(), "holds.wasm", &holds);
    let toml = |steps: &str| {
        webhook("hook", "builtin:webhook", &host.target)
            + "[plugin.holds]\nfile = \"holds.wasm\"\n\
               [pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n\
               batch = { events = 10, wait = \"8s\" }\n"
            + steps
    };
    let steps = "steps = [{ plugin = \"holds\", on_error = \"hold\" }]\n";
    // The first event is in the batch when the step that holds comes.
    put(&host.folder(), "all.toml", toml(""));
    host.pipeline(|it| it["state"] == "running").await;
    publish(&host.server, "shop").await;
    host.pipeline(|it| it["batched"] == 1).await;
    put(&host.folder(), "all.toml", toml(steps));
    host.pipeline(|it| it["state"] == "running" && it["steps"][0].is_object())
        .await;
    publish(&host.server, "held").await;
    host.pipeline(|it| it["state"] == "paused" && it["batched"] == 1)
        .await;
    let requests = host.target.received(1).await;
    assert_eq!(projects_told(&requests), ["shop"]);
    host.pipeline(|it| it["state"] == "paused" && it["batched"] == 0)
        .await;
    host.server.stop().await;
}

#[tokio::test]
async fn an_event_that_reads_like_a_secrets_place_is_sent_all_the_same() {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen.type = \"system\"\nsinks = [\"hook\"]\n";
    put(&host.folder(), "all.toml", toml);
    host.pipeline(|it| it["state"] == "running").await;
    let said = note("its last words: {secret:x}");
    host.server
        .bus()
        .publish_all(vec![said])
        .await
        .expect("published");
    let requests = host.target.until(|all| {
        let told = |it: &Received| it.json().to_string().contains("its last words");
        all.iter().any(told)
    });
    requests.await;
    host.delivery_is("delivered").await;
    host.server.stop().await;
}

#[tokio::test]
async fn a_quarantined_plugin_is_asked_again_at_once_when_it_is_resumed() {
    let mut host = two_pipelines("hold").await;
    let nothing = json!({});
    for (name, expected) in [("nobody", 404), ("endless", 409)] {
        let path = format!("/api/plugins/{name}/resume");
        let (status, problem) = host.server.post(&path, &nothing).await;
        assert_eq!(status, expected, "{problem}");
    }
    publish(&host.server, "shop").await;
    let quarantined = host.plugin_is("endless", "quarantined").await;
    let program = Binary::against(&host.server);
    let listed = program.run(&["plugin", "list"]).await;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.contains("tiny-forge plugin resume endless"),
        "{listed}"
    );
    let resumed = program.run(&["plugin", "resume", "endless"]).await;
    let said = String::from_utf8_lossy(&resumed.stdout);
    assert_eq!(said, "endless is running\n");
    let again = host.plugin_is("endless", "quarantined").await;
    let time_of = |text: &Value| Timestamp::parse(text.as_str().expect("a time"));
    assert!(
        Timestamp::now() < time_of(&quarantined["rests_until"]).expect("a time"),
        "it was not asked again by itself"
    );
    assert!(time_of(&again["rests_until"]) > time_of(&quarantined["rests_until"]));
    let faults = |it: &Value| it["calls"]["faults"].as_u64();
    assert!(faults(&again) >= faults(&quarantined).map(|before| before + 5));
    assert_eq!(
        again["calls"]["faults_by_kind"]["over_cpu"],
        again["calls"]["faults"]
    );
    host.server.stop().await;
}

#[tokio::test]
async fn a_quarantine_ends_with_the_pipeline_that_kept_away() {
    let mut host = two_pipelines("hold").await;
    publish(&host.server, "shop").await;
    host.plugin_is("endless", "quarantined").await;
    let path = host.folder().join("all.toml");
    let toml = fs::read_to_string(&path).expect("read");
    put(&host.folder(), "all.toml", toml.replace("steps = [", "#"));
    let running = host.plugin_is("endless", "running").await;
    assert_eq!(running["rests_until"], Value::Null);
    host.server.stop().await;
}

#[tokio::test]
async fn what_a_failing_filter_drops_is_shown_with_the_reason() {
    let host = two_pipelines("drop").await;
    publish(&host.server, "shop").await;
    let dropped = host
        .pipeline(|it| it["name"] == "bad" && it["dropped"] == 1)
        .await;
    let drop = &dropped["recent_drops"][0];
    assert_eq!(drop["plugin"], "endless");
    assert!(
        drop["reason"]
            .as_str()
            .is_some_and(|why| why.contains("50 ms")),
        "{drop}"
    );
    let event = drop["event"].as_i64().expect("an id");
    let kept = host.server.json(&format!("/api/events/{event}")).await;
    assert_eq!(kept["payload"]["project"], "shop", "the journal keeps it");
    host.server.stop().await;
}

#[tokio::test]
async fn an_event_keeps_what_an_enricher_added_and_tells_it() {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[plugin.team]\nfile = \"team.wasm\"\nconfig.owners = { shop = \"checkout\" }\n\
           [pipeline.all]\nsteps = [\"team\"]\nsinks = [\"hook\"]\n";
    crate::support::folder::put_built(&host.folder(), "team", "team.wasm");
    put(&host.folder(), "all.toml", toml);
    host.plugin_is("team", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    publish(&host.server, "shop").await;
    let told = host
        .events
        .until(|event| event["type"] == "event_annotated")
        .await;
    let requests = host.target.received(1).await;
    let sent = requests[0].json()["data"]["events"][0].clone();
    assert_eq!(sent["annotations"]["team"], told["payload"]["annotations"]);
    assert_eq!(told["cause"], told["payload"]["event"]);
    let event = told["payload"]["event"].as_i64().expect("an id");
    let merged = host.server.json(&format!("/api/events/{event}")).await;
    assert_eq!(merged["annotations"]["team"], sent["annotations"]["team"]);
    assert_ne!(merged["annotations"]["team"], json!(null));
    host.server.stop().await;
}
