//! What keeps pipelines from crying wolf: batches, cooldowns, our own doing.

use std::collections::BTreeMap;

use tiny_forge::model::{
    Actor, Health, InstanceReason, InstanceSource, InstanceStatus, InstanceStatusPayload, NewEvent,
    Payload, Severity, Subject,
};

use super::{Host, projects_told, publish};
use crate::support::{
    folder::{put, webhook},
    note::note,
    target::{Answer, Received},
};

fn toml(host: &Host, pipeline: &str) -> String {
    webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen.type = [\"project_status\", \"instance_status\"]\n"
        + "sinks = [\"hook\"]\n"
        + pipeline
}

/// A webhook gets what its pipeline lets through.
async fn hooked(pipeline: &str) -> Host {
    let mut host = Host::start().await;
    put(&host.folder(), "hook.toml", toml(&host, pipeline));
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    host
}

/// Another life on the same data.
async fn again(host: Host) -> Host {
    let host = host.restarted().await;
    host.pipeline(|all| all["state"] == "running").await;
    host
}

fn told(requests: &[Received]) -> Vec<Vec<String>> {
    let requests = requests.iter();
    let told = requests.map(|request| projects_told(std::slice::from_ref(request)));
    told.collect()
}

#[tokio::test]
async fn a_batch_is_one_delivery_and_what_waits_for_it_outlives_the_server() {
    let host = hooked("batch = { events = 3, wait = \"1h\" }\n").await;
    for project in ["a", "b", "c", "d"] {
        publish(&host.server, project).await;
    }
    let requests = host.target.received(1).await;
    assert_eq!(told(&requests), [["a", "b", "c"]]);
    host.pipeline(|all| all["batched"] == 1).await;

    let host = again(host).await;
    host.pipeline(|all| all["batched"] == 1).await;
    let sooner = toml(&host, "batch = { events = 3, wait = \"1s\" }\n");
    put(&host.folder(), "hook.toml", sooner);
    let requests = host.target.received(2).await;
    assert_eq!(told(&requests)[1], ["d"]);
    host.pipeline(|all| all["batched"] == 0).await;
    host.server.stop().await;
}

#[tokio::test]
async fn a_refused_batch_goes_on_in_halves_down_to_the_event_that_is_to_blame() {
    let host = hooked("batch = { events = 4, wait = \"1h\" }\n").await;
    let refused = || Answer::new(400, "no");
    let taken = || Answer::new(200, "");
    host.target
        .answer_next([refused(), taken(), refused(), refused(), taken()]);
    for project in ["a", "b", "poison", "d"] {
        publish(&host.server, project).await;
    }
    let requests = host.target.received(5).await;
    let expected: [&[&str]; 5] = [
        &["a", "b", "poison", "d"],
        &["a", "b"],
        &["poison", "d"],
        &["poison"],
        &["d"],
    ];
    assert_eq!(told(&requests), expected);
    let dead = host
        .listed("/api/deliveries", |it| it["status"] == "dead")
        .await;
    assert_eq!(dead["events"].as_array().map(Vec::len), Some(1), "{dead}");
    host.listed("/api/deliveries?status=delivered", |it| {
        it["events"]
            .as_array()
            .is_some_and(|events| events.len() == 1)
    })
    .await;
    let all = host.server.json("/api/deliveries").await;
    let count = |status: &str| {
        let items = all["items"].as_array().expect("items").iter();
        items.filter(|item| item["status"] == status).count()
    };
    assert_eq!((count("split"), count("delivered")), (2, 2), "{all}");
    host.server.stop().await;
}

#[tokio::test]
async fn one_of_a_kind_passes_in_a_cooldown_also_after_a_restart() {
    let host = hooked("once_per = \"payload.change\"\ncooldown = \"1h\"\n").await;
    publish(&host.server, "first").await;
    publish(&host.server, "second").await;
    let dropped = host.pipeline(|all| all["dropped"] == 1).await;
    assert_eq!(dropped["recent_drops"][0]["plugin"], "once_per");

    let host = again(host).await;
    publish(&host.server, "third").await;
    host.pipeline(|all| all["dropped"] == 2).await;
    assert_eq!(told(&host.target.requests()), [["first"]]);
    host.server.stop().await;
}

#[tokio::test]
async fn what_our_deploys_do_to_instances_is_silent_unless_it_is_wanted() {
    let host = hooked("").await;
    instance_ends(&host, true).await;
    instance_ends(&host, false).await;
    let told = host.target.received(1).await;
    assert_eq!(planned(&told), [false]);
    let pipeline = host.pipeline(|all| all["seen"] == 1).await;
    assert_eq!(pipeline["dropped"], 0);
    host.server.stop().await;
}

#[tokio::test]
async fn a_pipeline_can_ask_for_what_our_deploys_do() {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen = { type = \"instance_status\", planned = true }\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    instance_ends(&host, true).await;
    instance_ends(&host, false).await;
    let told = host.target.received(2).await;
    assert_eq!(planned(&told), [true, false]);
    host.server.stop().await;
}

#[tokio::test]
async fn a_pipeline_gets_what_is_grave_enough_and_of_its_projects() {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen = { severity = \"warning\", project = [\"shop-*\", \"blog\"] }\n\
           sinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    for (project, severity, message) in [
        (Some("shop-eu"), Severity::Info, "not grave enough"),
        (Some("shop-eu"), Severity::Warning, "just grave enough"),
        (Some("shop"), Severity::Critical, "of another project"),
        (Some("blog"), Severity::Critical, "more than grave enough"),
        (None, Severity::Critical, "of no project"),
        (Some("shop-us"), Severity::Error, "the last"),
    ] {
        let subject = Subject {
            project: project.map(|name| name.parse().expect("a name")),
            ..Subject::other("test")
        };
        let event = NewEvent {
            subject,
            severity,
            ..note(message)
        };
        let receipt = host.server.bus().publish(event).expect("there is room");
        receipt.committed().await.expect("it is stored");
    }
    let requests = host.target.received(3).await;
    let told: Vec<String> = requests
        .iter()
        .map(|it| it.json()["data"]["events"][0]["payload"]["message"].to_string())
        .collect();
    assert_eq!(
        told,
        [
            "\"just grave enough\"",
            "\"more than grave enough\"",
            "\"the last\""
        ]
    );
    host.server.stop().await;
}

#[tokio::test]
async fn after_a_start_instances_have_a_time_of_grace() {
    let host = hooked("startup_grace = \"1h\"\n").await;
    instance_ends(&host, false).await;
    publish(&host.server, "shop").await;
    let pipeline = host.pipeline(|all| all["dropped"] == 1).await;
    assert_eq!(pipeline["recent_drops"][0]["plugin"], "startup_grace");
    let requests = host.target.received(1).await;
    assert_eq!(told(&requests), [["shop"]]);
    host.server.stop().await;
}

#[tokio::test]
async fn what_a_pipeline_asks_comes_in_its_order_and_whoever_refuses_is_the_last() {
    let mut host = Host::start().await;
    let toml = toml(
        &host,
        "startup_grace = \"1h\"\nsteps = [\"pick\"]\nonce_per = \"payload.change\"\n\
         cooldown = \"1h\"\nbatch = { events = 2, wait = \"1h\" }\n\
         [plugin.pick]\nfile = \"builtin:rules\"\n\
         config.rules = [{ drop_if = 'project.startsWith(\"draft-\")', reason = \"no drafts\" }]\n",
    );
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    instance_ends(&host, true).await;
    instance_ends(&host, false).await;
    for project in ["draft-1", "shop", "blog"] {
        publish(&host.server, project).await;
    }
    let pipeline = host.pipeline(|all| all["dropped"] == 3).await;
    assert_eq!(
        (&pipeline["seen"], &pipeline["batched"]),
        (&4.into(), &1.into())
    );
    let mut asked = Vec::new();
    let page = host
        .server
        .json("/api/events?type=instance_status,project_status");
    for event in page.await["items"].as_array().expect("items") {
        let path = format!("/api/events/{}/trace", event["id"]);
        let trace = host.server.json(&path).await["pipelines"][0].clone();
        let steps = trace["steps"].as_array().expect("steps").iter();
        let names: Vec<&str> = steps.filter_map(|step| step["plugin"].as_str()).collect();
        asked.push(format!("{}: {}", trace["outcome"], names.join(", ")));
    }
    assert_eq!(
        asked,
        [
            "\"silent\": planned",
            "\"dropped\": startup_grace",
            "\"dropped\": pick",
            "\"passed\": pick",
            "\"dropped\": pick, once_per",
        ]
    );
    host.server.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_what_to_write_instead() {
    let host = Host::start().await;
    for (lines, expected) in [
        ("once_per = \"subject\"", "cooldown = \"10m\""),
        ("cooldown = \"10m\"", "once_per = \"subject\""),
        ("once_per = \"reason\"\ncooldown = \"10m\"", "payload.NAME"),
        ("startup_grace = \"soon\"", "a duration such as 30s"),
        ("batch = { events = 1, wait = \"1m\" }", "between 2 and 500"),
    ] {
        put(&host.folder(), "hook.toml", toml(&host, lines));
        let listed = host
            .listed("/api/plugins", |it| {
                it["error"]
                    .as_str()
                    .is_some_and(|why| why.contains(expected))
            })
            .await;
        assert_eq!(listed["name"], "hook.toml", "{listed}");
    }
    host.server.stop().await;
}

/// Whether our own deploys did what the events tell of, in order.
pub fn planned(requests: &[Received]) -> Vec<bool> {
    let events = requests.iter().flat_map(|request| {
        let events = request.json()["data"]["events"].as_array().cloned();
        events.unwrap_or_default()
    });
    events
        .filter_map(|event| event["payload"]["planned"].as_bool())
        .collect()
}

async fn instance_ends(host: &Host, planned: bool) {
    let payload = InstanceStatusPayload {
        instance: "0".repeat(64),
        name: "shop-prod-1-0".into(),
        image: "shop".into(),
        image_labels: BTreeMap::new(),
        managed: true,
        project: None,
        stage: None,
        deploy_id: None,
        generation: None,
        status: InstanceStatus::Exited,
        previous: Some(InstanceStatus::Running),
        health: Health::None,
        reason: InstanceReason::Stopped,
        exit_code: Some(0),
        oom_killed: false,
        restart_count: 0,
        crash_loop_since: None,
        log_tail: Vec::new(),
        planned,
        source: InstanceSource::Event,
    };
    let event = NewEvent::new(
        Subject::other("shop-prod-1-0"),
        Severity::Info,
        Actor::system("test"),
        Payload::InstanceStatus(Box::new(payload)),
    );
    let receipt = host.server.bus().publish(event).expect("there is room");
    receipt.committed().await.expect("it is stored");
}
