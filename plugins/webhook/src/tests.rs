use tiny_forge_plugin::http::{Request, Response};
use tiny_forge_plugin::{Delivery, Event, Outcome, Sink, Value, json, testing};

use super::{Webhook, fit::EVENT_BYTES_MAX};

fn webhook(config: Value) -> Webhook {
    testing::configure(&config).expect("valid")
}

fn delivery() -> Delivery {
    let event = Event::new("system", "engine", json!({"what": "started"}));
    let mut delivery = Delivery::new(vec![event]);
    delivery.id = "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned();
    delivery
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    headers
        .find(|(header, _)| header == name)
        .map(|(_, value)| value.as_str())
}

fn deliver(webhook: &mut Webhook, status: u16) -> (Outcome, Request) {
    testing::answer(Response::new(status));
    let outcome = webhook.deliver(&delivery());
    let request = testing::requests().pop().expect("sent");
    (outcome, request)
}

#[test]
fn a_signature_is_that_of_the_standards_own_example() {
    // From the Standard Webhooks test suite: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw.
    let key = [
        0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08,
        0x2c, 0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0,
    ];
    testing::set_secret("WEBHOOK_SECRET", &key);
    let webhook = webhook(json!({"url": "https://a.example/hook"}));
    let signature = webhook
        .signature(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            br#"{"test": 2432232314}"#,
        )
        .expect("signed");
    assert_eq!(
        signature.as_deref(),
        Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    );
}

#[test]
fn the_body_tells_the_delivery_and_its_events() {
    let config = json!({"url": "https://a.example/hook", "sign_with": []});
    let (outcome, request) = deliver(&mut webhook(config), 202);
    assert_eq!(outcome, Outcome::Ok);
    assert_eq!(
        header(&request, "webhook-id"),
        Some("msg_p5jXN8AQM9LWM0D4loKWxJek")
    );
    assert_eq!(header(&request, "webhook-signature"), None);
    let body: Value = request.read_json().expect("sends JSON");
    assert_eq!(body["type"], "events");
    assert_eq!(body["data"]["events"][0]["payload"]["what"], "started");
}

#[test]
fn each_attempt_is_stamped_and_signed_anew_over_the_same_body() {
    testing::set_secret("OLD", b"old key");
    testing::set_secret("NEW", b"new key");
    let config = json!({"url": "https://a.example/hook", "sign_with": ["OLD", "NEW"]});
    let mut webhook = webhook(config);

    testing::set_now_ms(1_614_265_330_900);
    let (_, first) = deliver(&mut webhook, 503);
    testing::set_now_ms(1_614_265_340_100);
    let (_, second) = deliver(&mut webhook, 200);

    assert_eq!(header(&first, "webhook-timestamp"), Some("1614265330"));
    assert_eq!(header(&second, "webhook-timestamp"), Some("1614265340"));
    assert_eq!(header(&first, "webhook-id"), header(&second, "webhook-id"));
    assert_eq!(first.body, second.body);
    let signatures =
        |request| header(request, "webhook-signature").map(|list| list.split(' ').count());
    assert_eq!(signatures(&first), Some(2));
    assert_ne!(
        header(&first, "webhook-signature"),
        header(&second, "webhook-signature")
    );
}

#[test]
fn redirects_and_gone_are_final_and_throttling_is_not() {
    let config = json!({"url": "https://a.example/hook", "sign_with": []});
    let mut webhook = webhook(config);
    for status in [301, 307, 400, 410, 413] {
        let (outcome, _) = deliver(&mut webhook, status);
        assert!(
            matches!(outcome, Outcome::Reject { .. }),
            "{status}: {outcome:?}"
        );
    }
    for status in [408, 429, 502, 504] {
        let (outcome, _) = deliver(&mut webhook, status);
        assert!(
            matches!(outcome, Outcome::Retry { .. }),
            "{status}: {outcome:?}"
        );
    }
}

#[test]
fn without_its_secret_nothing_is_sent_and_nothing_lost() {
    let outcome = webhook(json!({"url": "https://a.example/hook"})).deliver(&delivery());
    assert_eq!(
        outcome,
        Outcome::retry("cannot sign: there is no secret `WEBHOOK_SECRET`")
    );
    assert!(testing::requests().is_empty());
}

#[test]
fn a_header_of_ours_is_refused() {
    let config =
        json!({"url": "https://a.example/hook", "headers": {"Webhook-Id": "1", "X-Team": "a"}});
    let errors = testing::configure::<Webhook>(&config)
        .err()
        .expect("refused");
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].field, "/headers/Webhook-Id");
}

/// What is told of this event, and how long the body is.
fn told_of(event: Event) -> (Value, usize) {
    let config = json!({"url": "https://a.example/hook", "sign_with": []});
    let mut delivery = delivery();
    delivery.events = vec![event];
    testing::answer(Response::new(200));
    let mut webhook: Webhook = webhook(config);
    assert_eq!(webhook.deliver(&delivery), Outcome::Ok);
    let request = testing::requests().pop().expect("sent");
    let body: Value = request.read_json().expect("sends JSON");
    let bytes = request.body.expect("a body").len();
    (body["data"]["events"][0].clone(), bytes)
}

#[test]
fn what_is_large_about_an_event_is_cut_visibly_and_the_rest_arrives() {
    let lines: Vec<String> = (0..1_000).map(|n| format!("line {n} ü")).collect();
    let labels: serde_json::Map<String, Value> = (0..500)
        .map(|n| (format!("label-{n:03}"), "value".into()))
        .collect();
    let payload = json!({
        "status": "failed", "exit_code": 137, "message": "ü".repeat(50_000),
        "log_tail": lines, "image_labels": labels, "events": [1, 2, 3],
        "failure": {"reason": "it is ill", "health_output": "x".repeat(9_000)},
    });
    let event = Event::new("deploy_status", "shop/prod/deploys/17", payload).annotated(
        "team",
        json!({"owner": "checkout", "story": "y".repeat(60_000)}),
    );
    let (told, bytes) = told_of(event);
    assert!(bytes < 20_000, "{bytes}");
    assert_eq!(told["subject"], "shop/prod/deploys/17");
    let payload = &told["payload"];
    assert_eq!(
        (&payload["status"], &payload["exit_code"]),
        (&json!("failed"), &json!(137))
    );
    assert_eq!(payload["events"], json!([1, 2, 3]));
    assert_eq!(payload["failure"]["reason"], "it is ill");
    assert_eq!(told["annotations"]["team"]["owner"], "checkout");
    for cut in [
        &payload["message"],
        &payload["failure"]["health_output"],
        &told["annotations"]["team"]["story"],
    ] {
        let text = cut.as_str().expect("a text");
        assert!(text.ends_with("… (cut)") && text.len() <= 4_000, "{text}");
    }
    let tail = payload["log_tail"].as_array().expect("lines");
    assert_eq!(tail[0], "… (cut)");
    assert_eq!(tail.last(), Some(&json!("line 999 ü")));
    assert_eq!(payload["image_labels"]["…"], "… (cut)");
    assert_eq!(payload["image_labels"]["label-000"], "value");
}

#[test]
fn an_event_of_a_usual_size_is_sent_as_it_is() {
    let message = "m".repeat(15_000);
    let payload = json!({"what": "note", "message": message});
    let (told, bytes) = told_of(Event::new("system", "engine", payload.clone()));
    assert_eq!(told["payload"], payload);
    assert!(bytes > 15_000 && bytes < 20_000);
}

#[test]
fn annotations_that_cannot_be_cut_are_left_out_and_the_event_arrives() {
    let numbers: Vec<u32> = (0..20_000).collect();
    let event = Event::new("system", "engine", json!({"what": "started"}))
        .annotated("numbers", json!({"all": numbers}));
    let (told, bytes) = told_of(event);
    assert!(bytes < 20_000, "{bytes}");
    assert_eq!(told["annotations"], json!({"…": "… (cut)"}));
    assert_eq!(told["payload"]["what"], "started");
}

#[test]
fn what_cannot_be_made_small_enough_arrives_all_the_same() {
    let numbers: Vec<u32> = (0..20_000).collect();
    let (told, _) = told_of(Event::new("system", "engine", json!({"events": numbers})));
    let numbers = told["payload"]["events"].as_array().map(Vec::len);
    assert_eq!(numbers, Some(20_000));
}

#[test]
fn every_event_of_a_batch_is_cut_for_itself() {
    let big = || Event::new("system", "engine", json!({"message": "m".repeat(100_000)}));
    let config = json!({"url": "https://a.example/hook", "sign_with": []});
    let mut delivery = delivery();
    delivery.events = vec![big(), big()];
    testing::answer(Response::new(200));
    webhook(config).deliver(&delivery);
    let request = testing::requests().pop().expect("sent");
    assert!(request.body.expect("a body").len() <= 2 * EVENT_BYTES_MAX + 500);
}
