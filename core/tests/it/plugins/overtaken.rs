//! A pipeline that was away for longer than the journal remembers.

use serde_json::{Value, json};
use tiny_forge::model::{NewEvent, Severity};

use super::Host;
use crate::{
    sandbox::guest::{ANSWER, Source},
    support::{
        folder::{put, webhook},
        note::note,
        server::Server,
        target::Answer,
        wait,
    },
};

const KEPT: u64 = 1_000;
const NOTES: i64 = 1_300;
/// More than are made.
const TRIES: usize = 600;

const WAITS: &str = "waits for plugin `late`";

#[tokio::test]
async fn what_retention_took_is_counted_as_skipped_and_what_it_left_is_told() {
    let (host, cursor) = overtaken("\"late\"").await;
    let pipeline = host.pipeline(|it| it["error"] == WAITS).await;
    assert_eq!(
        (&pipeline["cursor"], &pipeline["skipped"]),
        (&cursor.into(), &0.into())
    );

    put(&host.folder(), "late.wasm", keeps());
    let told = told_to_the_end(&host).await;
    let (first, message) = &told[0];
    let number: i64 = message.parse().expect("a number");
    assert!(number > 0, "retention has taken none");
    let left: Vec<String> = (number..NOTES).map(|n| n.to_string()).collect();
    let messages: Vec<&String> = told.iter().map(|(_, message)| message).collect();
    assert_eq!(messages, left.iter().collect::<Vec<_>>());
    let pipeline = host.pipeline(|it| it["state"] == "running").await;
    assert_eq!(pipeline["skipped"], first - 1 - cursor, "{pipeline}");
    host.server.stop().await;
}

#[tokio::test]
async fn what_was_missed_is_counted_once_although_what_follows_it_is_held_through_restarts() {
    let step = "{ plugin = \"late\", on_error = \"hold\" }";
    let (mut host, cursor) = overtaken(step).await;
    let traps = Source::filter("(unreachable)").component();
    put(&host.folder(), "late.wasm", traps);
    let is_held = |it: &Value| {
        let why = it["error"].as_str().unwrap_or_default();
        it["state"] == "paused" && why.contains("trapped")
    };
    for _ in 0..2 {
        let held = host.pipeline(is_held).await;
        assert_eq!(held["cursor"], cursor, "{held}");
        host = host.restarted().await;
    }
    host.pipeline(is_held).await;

    put(&host.folder(), "late.wasm", keeps());
    let told = told_to_the_end(&host).await;
    let pipeline = host.pipeline(|it| it["state"] == "running").await;
    assert_eq!(pipeline["skipped"], told[0].0 - 1 - cursor, "{pipeline}");
    host.server.stop().await;
}

/// A pipeline with a step whose file is not there yet, after retention has taken some of
/// what it has still to see; and where its cursor is.
async fn overtaken(step: &str) -> (Host, i64) {
    let server = Server::configured(|_, args| args.events_max = Some(KEPT.to_string())).await;
    let mut host = Host::on(server).await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + &format!(
            "[plugin.late]\nfile = \"late.wasm\"\n\
             [pipeline.all]\nwhen.type = \"system\"\nsteps = [{step}]\nsinks = [\"hook\"]\n\
             batch = {{ events = 500, wait = \"1s\" }}\n"
        );
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    let waits = host.pipeline(|it| it["error"] == WAITS).await;
    let cursor = waits["cursor"].as_i64();
    let cursor = cursor.expect("it has its place before its plugins are there");

    let notes = (0..NOTES).map(|n| note(&n.to_string())).collect();
    let published = host.server.bus().publish_all(notes).await;
    published.expect("published");
    // It is deleted at a start, at the latest.
    let host = host.restarted().await;
    let trimmed = wait::answer(async || {
        let page = host.server.json("/api/events?type=system").await;
        (page["oldest"]["id"].as_i64() > Some(cursor + 1)).then_some(())
    });
    trimmed.await.expect("retention is done in time");
    (host, cursor)
}

fn keeps() -> Vec<u8> {
    Source::filter(format!("(i32.const {ANSWER})")).component()
}

/// Ids and messages of all notes that came, once the last is among them.
async fn told_to_the_end(host: &Host) -> Vec<(i64, String)> {
    let last = (NOTES - 1).to_string();
    let requests = host.target.until(|requests| {
        let mut told = requests.iter().flat_map(|it| notes_in(&it.json()));
        told.any(|(_, message)| message == last)
    });
    let requests = requests.await;
    let told = requests.iter().flat_map(|it| notes_in(&it.json()));
    told.collect()
}

#[tokio::test]
async fn a_delivery_that_waits_is_made_although_retention_has_taken_its_event() {
    let server = Server::configured(|_, args| args.events_max = Some(KEPT.to_string())).await;
    let host = Host::on(server).await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen = { type = \"system\", severity = \"error\" }\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", toml);
    host.pipeline(|it| it["state"] == "running").await;
    let busy = (0..TRIES).map(|_| Answer::slack_rate_limited(1));
    host.target.answer_next(busy);
    let grave = NewEvent {
        severity: Severity::Error,
        ..note("grave")
    };
    let published = host.server.bus().publish_all(vec![grave]).await;
    published.expect("published");
    let waits = |it: &Value| it["status"] == "retrying";
    let waiting = host.listed("/api/deliveries", waits).await;
    let event = &waiting["events"][0];

    let notes = (0..NOTES).map(|n| note(&n.to_string())).collect();
    let published = host.server.bus().publish_all(notes).await;
    published.expect("published");
    let mut host = host.restarted().await;
    let path = format!("/api/events/{event}");
    let taken = wait::answer(async || {
        let answer = host.server.get(&path).send().await.expect("an answer");
        (answer.status() == 404).then_some(())
    });
    taken.await.expect("retention is done in time");
    let still = host.listed("/api/deliveries", waits).await;
    assert_eq!(still["id"], waiting["id"]);

    host.target.recover();
    let delivered = host.delivery_is("delivered").await;
    assert_eq!(delivered["id"], waiting["id"]);
    let requests = host.target.requests();
    let mut attempts = requests.iter();
    let last = attempts.rfind(|it| it.header("webhook-id") == waiting["id"]);
    let last = last.expect("the attempt that was taken");
    let (id, message) = &notes_in(&last.json())[0];
    assert_eq!((&json!(id), message.as_str()), (event, "grave"));
    host.server.stop().await;
}

/// Ids and messages of the notes that a request tells of.
fn notes_in(body: &Value) -> Vec<(i64, String)> {
    let events = body["data"]["events"].as_array().expect("events").iter();
    let notes = events.filter(|it| it["payload"]["what"] == "note");
    notes
        .map(|it| {
            let message = it["payload"]["message"].as_str().expect("a message");
            (it["id"].as_i64().expect("an id"), message.to_owned())
        })
        .collect()
}
