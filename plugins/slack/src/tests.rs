use std::time::Duration;

use tiny_forge_plugin::http::{Error, Response};
use tiny_forge_plugin::{Delivery, Event, Outcome, Severity, Sink, Value, json, testing};

use super::Slack;

fn slack(config: Value) -> Slack {
    testing::configure(&config).expect("valid")
}

fn failed_deploy() -> Event {
    let mut event = Event::new(
        "deploy_status",
        "shop/prod/deploys/17",
        json!({
            "deploy_id": 17, "project": "shop", "stage": "prod", "generation": 4,
            "status": "failed", "image": "registry.example/shop:2",
            "failure": {
                "step": "gate", "reason": "the container exited", "exit_code": 3,
                "log_tail": ["starting", "<fatal> no database & no hope"],
            },
        }),
    );
    event.severity = Severity::Error;
    event
}

fn instance(reason: &str, planned: bool) -> Event {
    let payload = json!({
        "instance": "0123", "name": "shop-prod-4", "image": "shop:2", "managed": true,
        "project": "shop", "stage": "prod", "status": "running", "health": "healthy",
        "reason": reason, "exit_code": 137, "oom_killed": false, "restart_count": 6,
        "planned": planned, "source": "event",
    });
    Event::new(
        "instance_status",
        "shop/prod/instances/shop-prod-4",
        payload,
    )
}

fn ended_deploy(status: &str, recovered: bool) -> Event {
    let payload = json!({
        "deploy_id": 18, "project": "shop", "stage": "prod", "generation": 5,
        "status": status, "image": "shop:3", "recovered": recovered,
    });
    Event::new("deploy_status", "shop/prod/deploys/18", payload)
}

/// What Slack gets of these events, if anything.
fn posted(slack: &mut Slack, delivery: &Delivery) -> Option<Value> {
    testing::answer(Response::new(200).with_body("ok"));
    assert_eq!(slack.deliver(delivery), Outcome::Ok);
    let request = testing::requests().pop()?;
    Some(request.read_json().expect("sends JSON"))
}

fn text_of(message: &Value, block: usize) -> &str {
    let block = &message["blocks"][block];
    let text = block["text"]["text"].as_str();
    text.or_else(|| block["elements"][0]["text"].as_str())
        .expect("a block has a text")
}

#[test]
fn a_failed_deploy_says_why_and_where_to_read_on() {
    let mut delivery = Delivery::new(vec![
        failed_deploy().annotated("team", json!({"owner": "a"})),
    ]);
    delivery.public_url = Some("https://forge.example".to_owned());
    let message = posted(&mut slack(json!({})), &delivery).expect("posted");

    assert_eq!(message["text"], "❌ shop/prod: deploy 17 failed");
    assert_eq!(text_of(&message, 0), "❌ shop/prod: deploy 17 failed");
    assert_eq!(
        text_of(&message, 1),
        "Image `registry.example/shop:2`\n\
         gate: the container exited (exit code 3)\n\
         ```\nstarting\n&lt;fatal&gt; no database &amp; no hope\n```\n\
         *team*  owner: a"
    );
    assert_eq!(
        text_of(&message, 2),
        "<https://forge.example/deploys/17|Deploy 17> · 2026-01-01T00:00:00.000Z"
    );
}

#[test]
fn a_version_is_told_with_a_link_to_its_commit() {
    let facts = json!({
        "version": "3.0.1", "commit": "7d3f1c0", "source": "https://git.example/shop",
        "commit_url": "https://git.example/shop/commit/7d3f1c0a?a=1&b=|<",
        "built": "<!channel>", "built_url": "javascript:alert(1)",
    });
    let delivery = Delivery::new(vec![failed_deploy().annotated("image", facts)]);
    let message = posted(&mut slack(json!({})), &delivery).expect("posted");
    assert_eq!(
        text_of(&message, 1).lines().last(),
        Some(
            "*image*  built: &lt;!channel&gt;, \
             commit: <https://git.example/shop/commit/7d3f1c0a?a=1&amp;b=%7C%3C|7d3f1c0>, \
             source: https://git.example/shop, version: 3.0.1"
        )
    );
}

#[test]
fn the_url_is_the_operators_with_the_secret_left_to_the_host() {
    testing::answer(Response::new(200).with_body("ok"));
    slack(json!({})).deliver(&Delivery::new(vec![failed_deploy()]));
    assert_eq!(
        testing::requests()[0].url,
        "https://hooks.slack.com/services/{secret:SLACK_PATH}"
    );
}

#[test]
fn an_end_of_a_deploy_says_what_it_means_for_the_stage() {
    for (status, recovered, sentence) in [
        ("succeeded", false, "✅ shop/prod: deploy 18 succeeded"),
        (
            "succeeded",
            true,
            "💚 shop/prod is well again: deploy 18 succeeded",
        ),
        ("rolled_back", false, "❌ shop/prod: deploy 18 rolled back"),
    ] {
        let delivery = Delivery::new(vec![ended_deploy(status, recovered)]);
        let message = posted(&mut slack(json!({})), &delivery).expect("posted");
        assert_eq!(message["text"], sentence);
    }
}

#[test]
fn an_unexpected_end_is_posted_with_the_last_lines() {
    let mut payload = instance("unexpected_exit", false).payload_json().clone();
    payload["log_tail"] = json!(["connecting", "<fatal> no database"]);
    let event = Event::new("instance_status", "shop/prod/instances/a", payload);
    let message = posted(&mut slack(json!({})), &Delivery::new(vec![event])).expect("posted");
    assert_eq!(
        text_of(&message, 1),
        "Image `shop:2`\n```\nconnecting\n&lt;fatal&gt; no database\n```"
    );
}

#[test]
fn a_crash_loop_is_posted_when_it_begins_and_when_it_is_over() {
    let looping = |reason: &str| {
        let mut payload = instance(reason, false).payload_json().clone();
        payload["crash_loop_since"] = json!("2026-01-01T00:00:00.000Z");
        Event::new("instance_status", "shop/prod/instances/a", payload)
    };
    for (event, is_posted) in [
        (looping("crash_loop"), true),
        (looping("unexpected_exit"), false),
        (looping("oom"), false),
        (looping("restarted"), false),
        (looping("stopped"), true),
        (instance("recovered", false), true),
    ] {
        let reason = event.payload_json()["reason"].clone();
        let posted = posted(&mut slack(json!({})), &Delivery::new(vec![event]));
        assert_eq!(posted.is_some(), is_posted, "{reason}");
    }
}

#[test]
fn each_reason_of_an_instance_reads_as_a_sentence() {
    for (reason, sentence) in [
        ("healthy", "💚 shop/prod: shop-prod-4 is healthy"),
        (
            "unexpected_exit",
            "🔵 shop/prod: shop-prod-4 exited with code 137",
        ),
        (
            "crash_loop",
            "🔵 shop/prod: shop-prod-4 is in a crash loop: it ends with code 137",
        ),
        ("recovered", "💚 shop/prod: shop-prod-4 has recovered"),
        ("resync", "🔵 shop/prod: shop-prod-4 is running"),
        (
            "levitated",
            "🔵 shop/prod: shop-prod-4 is running (levitated)",
        ),
    ] {
        let delivery = Delivery::new(vec![instance(reason, false)]);
        let message = posted(&mut slack(json!({})), &delivery).expect("posted");
        assert_eq!(message["text"], sentence);
    }
}

#[test]
fn steps_and_planned_changes_are_left_out_unless_everything_is_wanted() {
    let mut step = json!({"deploy_id": 17, "project": "shop", "stage": "prod", "image": "shop:2"});
    step["status"] = "pulling".into();
    step["step"] = "pull".into();
    step["step_status"] = "succeeded".into();
    step["duration_ms"] = 2_345.into();
    let step = Event::new("deploy_status", "shop/prod/deploys/17", step);
    let delivery = Delivery::new(vec![step.clone(), instance("stopped", true)]);
    assert_eq!(posted(&mut slack(json!({})), &delivery), None);

    let mut everything = slack(json!({"detail": "everything"}));
    let message = posted(&mut everything, &delivery).expect("posted");
    assert_eq!(text_of(&message, 0), "🔵 2 events");
    let message = posted(&mut everything, &Delivery::new(vec![step])).expect("posted");
    assert_eq!(
        message["text"],
        "🔵 shop/prod: deploy 17: pull succeeded after 2.3 s"
    );
}

#[test]
fn a_test_says_so_and_is_always_posted() {
    let mut delivery = Delivery::new(vec![Event::new(
        "deploy_log",
        "shop/prod/deploys/1",
        json!({"line": "hi"}),
    )]);
    delivery.test = true;
    let message = posted(&mut slack(json!({})), &delivery).expect("posted");
    assert_eq!(
        message["text"],
        "🧪 Test: 🔵 shop/prod/deploys/1: deploy log"
    );
}

#[test]
fn the_largest_delivery_stays_within_slacks_limits() {
    let mut event = failed_deploy();
    let long = "<&>é🚀".repeat(2_000);
    event.subject = long.clone();
    let mut payload = event.payload_json().clone();
    payload["image"] = long.clone().into();
    payload["failure"]["reason"] = long.clone().into();
    payload["failure"]["health_output"] = long.clone().into();
    payload["failure"]["log_tail"] = vec![long.clone(); 20].into();
    let mut event = Event::new("deploy_status", &long, payload);
    for plugin in 0..40 {
        event = event.annotated(&format!("plugin-{plugin}"), json!({"text": long}));
    }
    let unknown = Event::new(&long, &long, json!({"text": long}));
    let events = [event, unknown].into_iter().cycle().take(60).collect();
    let message = posted(&mut slack(json!({})), &Delivery::new(events)).expect("posted");

    let blocks = message["blocks"].as_array().expect("a list");
    assert!(blocks.len() <= 50, "{} blocks", blocks.len());
    for (at, block) in blocks.iter().enumerate() {
        let limit = if block["type"] == "header" {
            150
        } else {
            3_000
        };
        let chars = text_of(&message, at).chars().count();
        assert!(
            (1..=limit).contains(&chars),
            "block {at} has {chars} characters"
        );
    }
    assert!(text_of(&message, 1).ends_with("_more was cut_"));
    assert_eq!(
        text_of(&message, 49),
        "… and 36 more events: a message holds no more"
    );
}

#[test]
fn slacks_answers_decide_what_becomes_of_a_delivery() {
    let outcome = |answer: Response| {
        testing::answer(answer);
        slack(json!({})).deliver(&Delivery::new(vec![failed_deploy()]))
    };
    let limited = Response::new(429)
        .with_header("Retry-After", "30")
        .with_body(r#"{"retry_after":1,"ok":false,"error":"rate_limited"}"#);
    let Outcome::Retry { after, reason } = outcome(limited) else {
        panic!("a limit is no end");
    };
    assert_eq!(after, Some(Duration::from_secs(30)));
    assert!(reason.contains("rate_limited"), "{reason}");

    assert_eq!(
        outcome(Response::new(403).with_body("invalid_token")),
        Outcome::reject("answered 403: invalid_token")
    );
    assert_eq!(outcome(Response::new(503)), Outcome::retry("answered 503"));
    testing::fail(Error::Timeout);
    assert_eq!(
        slack(json!({})).deliver(&Delivery::new(vec![failed_deploy()])),
        Outcome::retry("no answer in time")
    );
}
