//! A crash at every point on the way to a sink: nothing is lost, and nothing told twice
//! but what was under way.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tiny_forge::failpoint::Failpoint;

use crate::{
    kills::{OF_DELIVERIES, get, names, until},
    sandbox::guest::{Role, Source},
    support::{
        folder::{put, webhook},
        program::{NO_ENGINE, Program},
        target::{Answer, Target},
        wait,
    },
};

#[tokio::test]
async fn a_kill_on_the_way_to_a_sink_loses_nothing_and_repeats_only_what_was_under_way() {
    for (point, time) in OF_DELIVERIES
        .into_iter()
        .flat_map(|point| (1..=3).map(move |time| (point, time)))
    {
        let failpoint = format!("{}:{time}", point.name());
        let target = Target::start().await;
        let after = killed_at(&failpoint, "", &target).await;
        let delivered = |one: &Value| one["status"] == "delivered";
        assert!(after.deliveries.iter().all(delivered), "{failpoint}");
        assert!(
            after.died || time > 1,
            "{failpoint}: the server comes by there"
        );
        let requests = target.requests();
        let ids: BTreeSet<&str> = requests.iter().map(|it| it.header("webhook-id")).collect();
        let made = after.made.len();
        assert_eq!(ids.len(), made, "{failpoint}: one delivery for each event");
        assert!(
            requests.len() <= made + 1,
            "{failpoint}: only one was under way"
        );
    }
}

#[tokio::test]
async fn a_kill_while_batches_fill_and_are_refused_loses_no_event_and_tells_none_twice() {
    let batch = "batch = { events = 2, wait = \"1s\" }\n";
    // A batch is handed to no sink before it is stored.
    let reached = |point: &Failpoint| *point != Failpoint::DeliveryHandedOver;
    for point in OF_DELIVERIES.into_iter().filter(reached) {
        for time in 1..=2 {
            let failpoint = format!("{}:{time}", point.name());
            let target = Target::start().await;
            // The first batch goes on in halves; an event that was alone in it, as after
            // a kill, is a dead letter.
            target.answer_next([Answer::new(400, "no")]);
            let after = killed_at(&failpoint, batch, &target).await;
            assert!(
                after.died || time > 1,
                "{failpoint}: the server comes by there"
            );
            let ended = after.deliveries.iter().filter(|one| has_ended(one));
            let told: Vec<i64> = ended.flat_map(events_of).collect();
            let dead = after
                .deliveries
                .iter()
                .filter(|one| one["status"] == "dead");
            assert!(dead.map(events_of).all(|it| it.len() == 1), "{failpoint}");
            let distinct: BTreeSet<i64> = told.iter().copied().collect();
            assert_eq!(told.len(), distinct.len(), "{failpoint}: {told:?}");
            assert_eq!(distinct.len(), after.made.len(), "{failpoint}: {told:?}");
        }
    }
}

/// Refuses every delivery with the number of those it has been asked about before, which it
/// keeps in its store.
fn counting() -> Source {
    let call = "(call $get (i32.const 512) (i32.const 1) (i32.const 600))
        (if (i32.load8_u (i32.const 600)) (then
            (i32.store8 (i32.const 525) (i32.load8_u (i32.load (i32.const 604))))))
        (if (i32.eqz (i32.load8_u (i32.const 600))) (then
            (i32.store8 (i32.const 525) (i32.const 47))))
        (i32.store8 (i32.const 525)
            (i32.add (i32.load8_u (i32.const 525)) (i32.const 1)))
        (call $set (i32.const 512) (i32.const 1) (i32.const 525) (i32.const 1) (i32.const 600))
        (i32.store8 (i32.const 256) (i32.const 2))
        (i32.store (i32.const 264) (i32.const 525))
        (i32.store (i32.const 268) (i32.const 1))
        (i32.const 256)";
    Source::new(Role::Sink)
        .call(call)
        .import("get", "store", "get", "(param i32 i32 i32)")
        .import("set", "store", "set", "(param i32 i32 i32 i32 i32)")
        .data(512, b"k")
}

#[tokio::test]
async fn what_a_sink_has_written_holds_exactly_when_its_attempt_does() {
    for point in [Failpoint::DeliveryAttempted, Failpoint::DeliveryRecorded] {
        for time in 1..=3 {
            let failpoint = format!("{}:{time}", point.name());
            let dir = tempfile::tempdir().expect("temporary directory");
            let folder = dir.path().join("plugins");
            put(&folder, "count.wasm", counting().component());
            let toml = "[plugin.count]\nfile = \"count.wasm\"\n\
                 [pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"count\"]\n";
            put(&folder, "count.toml", toml);
            let after = killed_in(dir, &failpoint).await;
            assert!(after.died, "{failpoint}: the server comes by there");
            let mut told: Vec<&str> = after
                .deliveries
                .iter()
                .map(|it| it["last_error"].as_str().expect("a reason"))
                .collect();
            told.sort_unstable();
            let expected: Vec<String> = (0..after.made.len()).map(|n| n.to_string()).collect();
            assert_eq!(told, expected, "{failpoint}");
        }
    }
}

fn has_ended(delivery: &Value) -> bool {
    delivery["status"] == "delivered" || delivery["status"] == "dead"
}

fn events_of(delivery: &Value) -> Vec<i64> {
    let events = delivery["events"].as_array().expect("events").iter();
    events.filter_map(Value::as_i64).collect()
}

/// What is there when the server that came after a killed one has made it good.
struct Aftermath {
    /// It may come by a point less often than asked: several events share a
    /// transaction.
    died: bool,
    /// Projects: each is one event.
    made: BTreeSet<String>,
    deliveries: Vec<Value>,
}

async fn killed_at(failpoint: &str, batch: &str, target: &Target) -> Aftermath {
    let dir = tempfile::tempdir().expect("temporary directory");
    let toml = webhook("hook", "builtin:webhook", target)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n"
        + batch;
    put(&dir.path().join("plugins"), "hook.toml", toml);
    killed_in(dir, failpoint).await
}

/// `dir`: with its plugins.
async fn killed_in(dir: TempDir, failpoint: &str) -> Aftermath {
    // The pipeline gets its cursor in a first, quiet life.
    let quiet = Program::serve(dir.path()).await;
    until(&quiet, "/api/pipelines", |all| {
        all["items"][0]["state"] == "running"
    })
    .await;
    quiet.signal(rustix::process::Signal::KILL);
    quiet.ended().await;

    let mut acknowledged = BTreeSet::new();
    let mut died = true;
    if let Some(doomed) = Program::serve_armed(dir.path(), NO_ENGINE, failpoint).await {
        // Only a sink that has nothing to do is handed a delivery.
        let one_by_one = failpoint.starts_with(Failpoint::DeliveryHandedOver.name());
        acknowledged = make_projects(&doomed, one_by_one).await;
        died = !all_delivered(&doomed, acknowledged.len()).await;
        if !died {
            doomed.signal(rustix::process::Signal::KILL);
        }
        doomed.ended().await;
    }
    let saved = Program::serve(dir.path()).await;
    let made = until(&saved, "/api/projects", |_| true).await;
    let made: BTreeSet<String> = names(&made["items"]).collect();
    assert!(
        acknowledged.is_subset(&made),
        "{failpoint}: {acknowledged:?} of {made:?}"
    );
    assert!(all_delivered(&saved, made.len()).await, "{failpoint}");
    let deliveries = until(&saved, "/api/deliveries", |_| true).await;
    saved.signal(rustix::process::Signal::KILL);
    saved.ended().await;
    Aftermath {
        died,
        made,
        deliveries: deliveries["items"].as_array().cloned().unwrap_or_default(),
    }
}

/// Those that were acknowledged before the server died.
async fn make_projects(doomed: &Program, one_by_one: bool) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for number in 0..5 {
        let name = format!("p{number}");
        let body = json!({"name": name, "spec": {"image": "none"}});
        let post = doomed.http.post(format!("{}/api/projects", doomed.address));
        match post.json(&body).send().await {
            Ok(answer) if answer.status() == StatusCode::CREATED => acknowledged.insert(name),
            _ => break,
        };
        if one_by_one && !all_delivered(doomed, acknowledged.len()).await {
            break;
        }
    }
    acknowledged
}

/// Delivered, or refused for good. False if the server dies before.
async fn all_delivered(program: &Program, count: usize) -> bool {
    let all = wait::answer(async || {
        let Some(all) = get(program, "/api/deliveries").await else {
            return Some(false);
        };
        let all = all["items"].as_array().expect("items").iter();
        let ended = all.filter(|one| has_ended(one));
        (ended.flat_map(events_of).count() == count).then_some(true)
    });
    all.await.expect("deliveries are made in time")
}
