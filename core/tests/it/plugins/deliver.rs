//! Deliveries: retried, given up, replayed, and never a secret in them.

use std::{fs, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Host, publish};
use crate::support::{
    folder::{put, webhook},
    target::{Answer, Target},
};

const SECRET: &str = "T000/B000/very-secret-path";

/// Slack, with its path in a secret, gets every event.
async fn slack() -> Host {
    let mut host = Host::start().await;
    let secret = host.server.dir.path().join("slack-path");
    fs::write(&secret, SECRET).expect("written");
    put(
        &host.folder(),
        "slack.toml",
        slack_toml(&host.target, &secret),
    );
    host.plugin_is("slack", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    host
}

fn slack_toml(target: &Target, secret: &std::path::Path) -> String {
    let origin = target.origin();
    format!(
        "[plugin.slack]\nfile = \"builtin:slack\"\n\
         config = {{ url = \"{origin}/services/{{secret:SLACK_PATH}}\", detail = \"everything\" }}\n\
         secrets.SLACK_PATH = \"file:{}\"\n\
         grants.http = [\"{origin}\"]\ngrants.networks = [\"127.0.0.1/32\"]\n\
         [pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"slack\"]\n",
        secret.display()
    )
}

#[tokio::test]
async fn a_target_that_asks_for_patience_gets_it_and_then_the_same_delivery() {
    let mut host = slack().await;
    host.target.answer_next([Answer::slack_rate_limited(1)]);
    publish(&host.server, "shop").await;
    let waiting = host.delivery_is("retrying").await;
    assert_eq!(waiting["attempt_list"][0]["outcome"], "retry");
    let delivered = host.delivery_is("delivered").await;
    assert_eq!(delivered["id"], waiting["id"]);
    assert_eq!(delivered["attempts"], 2);
    let at = |index: usize| {
        let text = delivered["attempt_list"][index]["at"]
            .as_str()
            .expect("a time");
        tiny_forge::model::Timestamp::parse(text).expect("a time")
    };
    assert!(at(1).ms_since(at(0)) >= 1_000, "{delivered}");
    assert_eq!(delivered["next_attempt_at"], Value::Null, "{delivered}");
    let requests = host.target.requests();
    assert_eq!(requests[0].path, format!("/services/{SECRET}"));
    assert_eq!(requests[0].body, requests[1].body);
    host.server.stop().await;
}

#[tokio::test]
async fn patience_is_understood_as_seconds_as_a_date_as_parts_of_a_second_and_in_the_body() {
    let mut host = slack().await;
    let with = |headers: &[(&'static str, &str)], body: &str| Answer {
        headers: headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        ..Answer::new(503, body)
    };
    let date = [
        // The target's own clock counts, which may be wrong.
        ("date", "Fri, 27 Mar 2026 22:30:00 GMT"),
        ("retry-after", "Fri, 27 Mar 2026 22:30:02 GMT"),
    ];
    for (number, (answer, asked_ms)) in [
        (with(&[("retry-after", "2")], ""), 2_000),
        (with(&date, ""), 2_000),
        (with(&[("retry-after", "1.5")], ""), 1_500),
        (with(&[], r#"{"retry_after": 1.25}"#), 1_250),
        (
            with(&[("retry-after", "99999999999999999999")], ""),
            86_400_000,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        host.target.answer_next([answer]);
        publish(&host.server, &format!("shop-{number}")).await;
        let waiting = host.delivery_is("retrying").await;
        let time = |text: &Value| {
            let text = text.as_str().expect("a time");
            tiny_forge::model::Timestamp::parse(text).expect("a time")
        };
        let attempted = time(&waiting["attempt_list"][0]["at"]);
        let pause = time(&waiting["next_attempt_at"]).ms_since(attempted);
        let expected = asked_ms..asked_ms + 2_000;
        assert!(
            expected.contains(&pause),
            "{pause} for {asked_ms}: {waiting}"
        );
        if asked_ms < 60_000 {
            host.delivery_is("delivered").await;
        }
    }
    host.server.stop().await;
}

#[tokio::test]
async fn a_refused_delivery_is_a_dead_letter_that_can_be_replayed_and_holds_up_nobody() {
    let mut host = slack().await;
    host.target.answer_next([Answer::new(403, "invalid_token")]);
    publish(&host.server, "first").await;
    publish(&host.server, "second").await;
    let dead = host.delivery_is("dead").await;
    let reason = dead["last_error"].as_str().expect("a reason");
    assert!(reason.contains("invalid_token"), "{reason}");
    host.delivery_is("delivered").await;
    let path = format!(
        "/api/deliveries/{}/replay",
        dead["id"].as_str().expect("an id")
    );
    let (status, _) = host.server.post(&path, &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let again = host.delivery_is("delivered").await;
    assert_eq!(again["id"], dead["id"]);
    let (status, refusal) = host.server.post(&path, &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        refusal["detail"]
            .as_str()
            .is_some_and(|why| why.contains("only a dead one"))
    );
    let listed = host.server.json("/api/plugins/slack").await;
    assert_eq!(listed["queue"]["dead"], 0);
    host.server.stop().await;
}

#[tokio::test]
async fn a_sink_that_has_to_try_again_sends_nothing_again_to_one_that_took_it() {
    let host = Host::start().await;
    let busy = Target::start().await;
    busy.answer_next([Answer::new(503, "busy"), Answer::new(503, "busy")]);
    let toml = webhook("good", "builtin:webhook", &host.target)
        + &webhook("late", "builtin:webhook", &busy)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"late\", \"good\"]\n";
    put(&host.folder(), "all.toml", toml);
    host.pipeline(|all| all["state"] == "running").await;
    publish(&host.server, "shop").await;
    let attempts = busy.received(3).await;
    let delivered = |it: &Value| it["sink"] == "late" && it["status"] == "delivered";
    host.listed("/api/deliveries", delivered).await;
    let ids: Vec<&str> = attempts.iter().map(|it| it.header("webhook-id")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let taken = host.target.requests();
    assert_eq!(taken.len(), 1);
    assert_ne!(taken[0].header("webhook-id"), ids[0]);
    host.server.stop().await;
}

#[tokio::test]
async fn what_comes_after_a_delivery_that_waits_waits_behind_it_also_through_a_restart() {
    let mut host = slack().await;
    host.target.answer_next([Answer::slack_rate_limited(3)]);
    publish(&host.server, "first").await;
    host.delivery_is("retrying").await;
    publish(&host.server, "second").await;
    let queued = |it: &Value| it["status"] == "pending";
    host.listed("/api/deliveries", queued).await;

    let host = host.restarted().await;
    let requests = host.target.received(3).await;
    let tells = |index: usize, project: &str| requests[index].body.contains(project);
    assert!(tells(0, "first") && tells(1, "first") && tells(2, "second"));
    let pause = requests[1].at - requests[0].at;
    assert!(pause >= Duration::from_secs(3), "{pause:?}");
    host.server.stop().await;
}

#[tokio::test]
async fn a_dead_letter_is_not_replayed_to_a_sink_that_is_no_longer_configured() {
    let mut host = slack().await;
    host.target.answer_next([Answer::new(403, "invalid_token")]);
    publish(&host.server, "first").await;
    let dead = host.delivery_is("dead").await;
    let id = dead["id"].as_str().expect("an id");
    let path = format!("/api/deliveries/{id}/replay");

    let slack = fs::read(host.folder().join("slack.toml")).expect("its file");
    let other = "[plugin.other]\nfile = \"builtin:rules\"\nconfig.rules = []\n";
    put(&host.folder(), "slack.toml", other);
    host.plugin_is("other", "running").await;
    let (status, refusal) = host.server.post(&path, &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = refusal["detail"].to_string();
    assert!(detail.contains("add [plugin.slack]"), "{detail}");

    put(&host.folder(), "slack.toml", slack);
    host.plugin_is("slack", "running").await;
    let (status, _) = host.server.post(&path, &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(host.delivery_is("delivered").await["id"], dead["id"]);
    host.server.stop().await;
}

#[tokio::test]
async fn all_dead_letters_of_a_sink_are_replayed_in_their_order() {
    let mut host = slack().await;
    let refused = || Answer::new(403, "invalid_token");
    host.target.answer_next([refused(), refused()]);
    for project in ["first", "second"] {
        publish(&host.server, project).await;
        host.delivery_is("dead").await;
    }
    let (status, answer) = host
        .server
        .post("/api/plugins/slack/replay", &json!({}))
        .await;
    assert_eq!(
        (status, answer),
        (StatusCode::ACCEPTED, json!({"replayed": 2, "left": 0}))
    );
    let requests = host.target.received(4).await;
    for (again, project) in requests[2..].iter().zip(["first", "second"]) {
        assert!(again.body.contains(project), "{}", again.body);
    }
    let (status, _) = host
        .server
        .post("/api/plugins/nobody/replay", &json!({}))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    host.server.stop().await;
}

#[tokio::test]
async fn a_test_shows_what_the_target_really_answered() {
    let host = slack().await;
    host.target.answer_next([Answer::new(404, "no_service")]);
    let test = || async {
        host.server
            .post("/api/plugins/slack/test", &json!({}))
            .await
    };
    let (status, refused) = test().await;
    assert_eq!(
        (status, &refused["outcome"]),
        (StatusCode::OK, &json!("reject"))
    );
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|why| why.contains("no_service")),
        "{refused}"
    );
    assert_eq!(refused["requests"][0]["status"], 404);
    let (_, sent) = test().await;
    assert_eq!(sent["outcome"], "ok");
    assert!(host.target.requests()[1].body.contains("Test"));
    let kept = host.server.json("/api/deliveries").await;
    assert_eq!(kept["items"], json!([]), "a test leaves nothing behind");
    host.server.stop().await;
}

#[tokio::test]
async fn how_long_a_target_takes_is_shown_of_an_attempt_of_a_test_and_of_the_calls() {
    const TAKES_MS: u64 = 300;
    let slow = |status: u16| Answer {
        after: Duration::from_millis(TAKES_MS),
        ..Answer::new(status, "")
    };
    let mut host = slack().await;
    host.target.answer_next([slow(503), slow(200)]);
    publish(&host.server, "shop").await;
    host.delivery_is("retrying").await;
    let delivered = host.delivery_is("delivered").await;
    let at_least = |figure: &Value, least: u64| figure.as_f64() >= Some(least as f64);
    for attempt in delivered["attempt_list"].as_array().expect("attempts") {
        assert!(at_least(&attempt["latency_ms"], TAKES_MS), "{delivered}");
    }
    assert!(at_least(&delivered["latency_ms"], TAKES_MS), "{delivered}");

    host.target.answer_next([slow(202)]);
    let (_, tested) = host
        .server
        .post("/api/plugins/slack/test", &json!({}))
        .await;
    assert_eq!(tested["requests"][0]["status"], 202);
    assert!(at_least(&tested["latency_ms"], TAKES_MS), "{tested}");

    // Right to within a sixteenth.
    let slack = host.server.json("/api/plugins/slack").await;
    for share in ["p50_us", "p95_us", "p99_us"] {
        let figure = &slack["calls"][share];
        assert!(at_least(figure, TAKES_MS * 1_000 * 15 / 16), "{slack}");
    }
    host.server.stop().await;
}

#[tokio::test]
async fn a_secret_is_in_nothing_that_is_kept_or_shown() {
    let mut host = slack().await;
    let echo = format!("no such channel at /services/{SECRET}");
    host.target.answer_next([Answer::new(400, &echo)]);
    publish(&host.server, "shop").await;
    host.delivery_is("dead").await;
    host.server
        .post("/api/plugins/slack/test", &json!({}))
        .await;
    for path in [
        "/api/plugins",
        "/api/deliveries",
        "/api/events?type=deploy_log,delivery_status,plugin_status,project_status",
    ] {
        let shown = host.server.json(path).await.to_string();
        assert!(!shown.contains("very-secret-path"), "{path}: {shown}");
    }
    let data = host.server.dir.path().join("data");
    host.server.stop().await;
    drop(host.events);
    for file in fs::read_dir(&data).into_iter().flatten().flatten() {
        let bytes = fs::read(file.path()).unwrap_or_default();
        let found = bytes
            .windows(16)
            .any(|window| window == b"very-secret-path");
        assert!(!found, "{}", file.path().display());
    }
}

#[tokio::test]
async fn a_request_without_a_grant_is_denied_with_the_line_to_add() {
    let mut host = Host::start().await;
    let origin = host.target.origin();
    let toml = format!(
        "[plugin.hook]\nfile = \"builtin:webhook\"\nconfig.url = \"{origin}/\"\nconfig.sign_with = []\n\
         grants.networks = [\"127.0.0.1/32\"]\n[pipeline.all]\nsinks = [\"hook\"]\n"
    );
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    let (_, denied) = host.server.post("/api/plugins/hook/test", &json!({})).await;
    let line = format!("grants.http = [\\\"{origin}\\\"]");
    assert!(denied.to_string().contains(&line), "{denied}");
    assert!(host.target.requests().is_empty());
    host.server.stop().await;
}

#[tokio::test]
async fn what_deliveries_cause_does_not_go_round_in_circles() {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.loop]\nwhen.type = [\"project_status\", \"delivery_status\"]\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|one| one["state"] == "running").await;
    publish(&host.server, "shop").await;
    let cut = host.pipeline(|one| one["dropped"] == 1).await;
    let reason = cut["recent_drops"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("chain of causes"), "{reason}");
    assert_eq!(host.target.received(5).await.len(), 5);
    host.server.stop().await;
}
