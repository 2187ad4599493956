//! A crash between any two steps of a pipeline that has everything: an enricher, one
//! that counts in its store, a filter, a gate, two sinks. It decides as if nothing had
//! happened.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tiny_forge::failpoint::Failpoint;

use crate::{
    kills::{OF_DELIVERIES, get, until},
    sandbox::guest::{Role, Source, drop_with},
    support::{
        folder::{put, put_built, webhook},
        program::{NO_ENGINE, Program},
        target::Target,
        wait,
    },
};

const PIPELINE: &str = r#"
[plugin.team]
file = "team.wasm"
config = { owners = { p0 = "shop" }, fallback = "rest" }
[plugin.count]
file = "count.wasm"
[plugin.choice]
file = "builtin:rules"
config.rules = [{ drop_if = 'project == "p2"' }]
[pipeline.all]
when.type = "project_status"
steps = ["team", "count", "choice"]
once_per = "project"
cooldown = "1h"
sinks = ["first", "second"]
"#;
/// Each is made, and changed once: eight events.
const PROJECTS: [&str; 4] = ["p0", "p1", "p2", "p3"];
const STEPS: u32 = 3;

#[tokio::test]
async fn a_kill_between_any_two_steps_leaves_every_decision_as_it_would_have_been() {
    for time in 1..=3 * STEPS {
        survives(Failpoint::StepAnswered, time).await;
    }
}

#[tokio::test]
async fn a_kill_around_the_steps_leaves_every_decision_as_it_would_have_been() {
    for point in OF_DELIVERIES {
        for time in 1..=4 {
            survives(point, time).await;
        }
    }
}

async fn survives(point: Failpoint, time: u32) {
    let failpoint = format!("{}:{time}", point.name());
    let dir = tempfile::tempdir().expect("temporary directory");
    let targets = BTreeMap::from([
        ("first", Target::start().await),
        ("second", Target::start().await),
    ]);
    let folder = dir.path().join("plugins");
    put_built(&folder, "team", "team.wasm");
    put(&folder, "count.wasm", counting().component());
    let sinks = targets
        .iter()
        .map(|(name, target)| webhook(name, "builtin:webhook", target));
    put(&folder, "all.toml", sinks.collect::<String>() + PIPELINE);
    // The pipeline gets its cursor in a first, quiet life.
    let quiet = Program::serve(dir.path()).await;
    until(&quiet, "/api/pipelines", |all| {
        all["items"][0]["state"] == "running"
    })
    .await;
    end(quiet).await;

    let (mut acknowledged, mut died) = (0, true);
    // It may have died while its plugins started.
    if let Some(doomed) = Program::serve_armed(dir.path(), NO_ENGINE, &failpoint).await {
        acknowledged = publish_all(&doomed).await;
        died = lives_on(&doomed, acknowledged).await.is_none();
        if !died {
            doomed.signal(Signal::KILL);
        }
        doomed.ended().await;
    }
    assert!(died || time > 1, "{failpoint}: the server comes by there");

    let saved = Program::serve(dir.path()).await;
    let events = events(&saved, "project_status").await;
    assert!(events.len() >= acknowledged, "{failpoint}: {events:?}");
    let told = told_of(&events);
    all_decided(&saved, &events, told.len()).await;
    let deliveries = until(&saved, "/api/deliveries?limit=500", |_| true).await;
    for (sink, target) in &targets {
        let items = deliveries["items"].as_array().expect("items").iter();
        let made = items.filter(|it| it["sink"] == *sink);
        let mut made: Vec<i64> = made.filter_map(|it| it["events"][0].as_i64()).collect();
        made.sort_unstable();
        assert_eq!(made, told, "{failpoint}: each once, to {sink}");
        let requests = target.requests();
        let ids: BTreeSet<&str> = requests.iter().map(|it| it.header("webhook-id")).collect();
        assert_eq!(ids.len(), told.len(), "{failpoint}: to {sink}");
        assert!(
            requests.len() <= told.len() + 1,
            "{failpoint}: only one was under way to {sink}"
        );
    }
    counted_without_a_gap(&saved, &events, &failpoint).await;
    end(saved).await;
}

/// Adds how many events it has seen, which it keeps in its store: `{"n":4}`.
fn counting() -> Source {
    let call = "(call $get (i32.const 512) (i32.const 1) (i32.const 600))
        (if (i32.load8_u (i32.const 600)) (then
            (i32.store8 (i32.const 525) (i32.load8_u (i32.load (i32.const 604))))))
        (if (i32.eqz (i32.load8_u (i32.const 600))) (then
            (i32.store8 (i32.const 525) (i32.const 48))))
        (i32.store8 (i32.const 525)
            (i32.add (i32.load8_u (i32.const 525)) (i32.const 1)))
        (call $set (i32.const 512) (i32.const 1) (i32.const 525) (i32.const 1) (i32.const 600))";
    Source::new(Role::Enricher)
        .call(call.to_owned() + &drop_with("(i32.const 520)", "(i32.const 7)"))
        .import("get", "store", "get", "(param i32 i32 i32)")
        .import("set", "store", "set", "(param i32 i32 i32 i32 i32)")
        .data(512, b"k")
        .data(520, br#"{"n":0}"#)
}

/// How many events were acknowledged before the server died.
async fn publish_all(doomed: &Program) -> usize {
    let mut acknowledged = 0;
    for project in PROJECTS {
        let spec = |image: &str| json!({"name": project, "spec": {"image": image}});
        let projects = format!("{}/api/projects", doomed.address);
        let stage = format!("{projects}/{project}/stages/prod");
        let make = doomed.http.post(projects).json(&spec("none"));
        let change = json!({"spec": {"image": "other"}});
        let change = doomed.http.put(stage).json(&change);
        for (request, status) in [(make, StatusCode::CREATED), (change, StatusCode::OK)] {
            match request.send().await {
                Ok(answer) if answer.status() == status => acknowledged += 1,
                _ => return acknowledged,
            }
        }
    }
    acknowledged
}

/// `None` if the server dies before all is done.
async fn lives_on(doomed: &Program, acknowledged: usize) -> Option<()> {
    let ended = wait::answer(async || {
        let Some(pipelines) = get(doomed, "/api/pipelines").await else {
            return Some(None);
        };
        let Some(deliveries) = get(doomed, "/api/deliveries?limit=500").await else {
            return Some(None);
        };
        let all = pipelines["items"][0]["seen"] == acknowledged;
        (all && are_delivered(&deliveries)).then_some(Some(()))
    });
    ended.await.expect("it ends, or its work does")
}

fn are_delivered(deliveries: &Value) -> bool {
    let items = deliveries["items"].as_array().expect("items").iter();
    items.into_iter().all(|it| it["status"] == "delivered")
}

async fn events(saved: &Program, kind: &str) -> Vec<Value> {
    let path = format!("/api/events?type={kind}&after=0&limit=500");
    let page = until(saved, &path, |_| true).await;
    page["items"].as_array().cloned().expect("items")
}

/// Of each project the first event, but for the one that the filter drops.
fn told_of(events: &[Value]) -> Vec<i64> {
    let mut seen = BTreeSet::new();
    let firsts = events.iter().filter(|event| {
        let project = &event["payload"]["project"];
        project != "p2" && seen.insert(project.as_str().expect("a project").to_owned())
    });
    firsts
        .map(|event| event["id"].as_i64().expect("an id"))
        .collect()
}

/// Each event counts once for the pipeline, and every delivery has ended.
async fn all_decided(saved: &Program, events: &[Value], told: usize) {
    until(saved, "/api/pipelines", |all| {
        all["items"][0]["seen"] == events.len() && all["items"][0]["dropped"] == events.len() - told
    })
    .await;
    until(saved, "/api/deliveries?limit=500", are_delivered).await;
}

/// What a step wrote holds exactly when what came of it does.
async fn counted_without_a_gap(saved: &Program, decided: &[Value], failpoint: &str) {
    let annotated = events(saved, "event_annotated").await;
    let by = |plugin: &str| {
        let of = annotated
            .iter()
            .filter(|it| it["payload"]["plugin"] == plugin);
        of.map(|it| {
            (
                it["payload"]["event"].clone(),
                it["payload"]["annotations"].clone(),
            )
        })
        .collect::<Vec<_>>()
    };
    let ids = || decided.iter().map(|event| event["id"].clone());
    let counted = ids().zip(1..).map(|(id, n)| (id, json!({ "n": n })));
    assert_eq!(by("count"), counted.collect::<Vec<_>>(), "{failpoint}");
    let teams = by("team").into_iter().map(|(id, _)| id);
    assert_eq!(
        teams.collect::<Vec<_>>(),
        ids().collect::<Vec<_>>(),
        "{failpoint}"
    );
}

async fn end(program: Program) {
    program.end(Signal::KILL).await;
}
