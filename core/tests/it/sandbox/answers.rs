use serde_json::json;
use tiny_forge::plugin_host::sandbox::{Decision, DeliveryContext, DeliveryOutcome, Fault, Guest};

use super::{
    guest::{ANSWER, Role, Source, answer_byte, answer_word, drop_with},
    lab::{Lab, event},
};

async fn start(source: Source) -> Guest {
    let lab = Lab::new();
    lab.start(&source).await.expect("a guest")
}

#[tokio::test]
async fn an_event_arrives_as_it_was_sent() {
    // The record's fields by their places: subject, payload.
    for (pointer, length, expected) in [
        (8, 12, "deploy_status"),
        (32, 36, "shop/prod/deploys/17"),
        (72, 76, r#"{"status":"failed"}"#),
        (80, 84, "{}"),
    ] {
        let field = |at| format!("(i32.load offset={at} (local.get 0))");
        let mut guest = start(Source::filter(drop_with(&field(pointer), &field(length)))).await;
        let decision = guest.filter(&event()).await;
        assert_eq!(decision, Ok(Decision::Drop(expected.into())));
    }
}

#[tokio::test]
async fn a_guest_describes_itself_and_takes_its_configuration() {
    let mut guest = start(Source::new(Role::Filter).data(64, b"\x10\0\0\0\x02\0\0\0")).await;
    let description = guest.describe().await.expect("a description");
    assert_eq!(description.name, "{}");
    assert_eq!(description.config_schema, json!({}));
    assert_eq!(description.asked, Default::default());
    assert_eq!(guest.configure("{}").await, Ok(Ok(())));

    let mut guest = start(Source::new(Role::Filter).describe("(i32.const 1024)")).await;
    let fault = guest
        .describe()
        .await
        .expect_err("a schema that is no JSON");
    assert!(fault.to_string().contains("config-schema"), "{fault}");
    assert!(guest.is_dead());
}

#[tokio::test]
async fn a_guests_own_error_is_told_and_survived() {
    let error = [
        answer_byte(0, 1),
        answer_word(4, "(i32.const 512)"),
        answer_word(8, "(i32.const 8)"),
        format!("(i32.const {ANSWER})"),
    ];
    let source = Source::filter(error.concat()).data(512, b"no such ");
    let mut guest = start(source).await;
    for _ in 0..2 {
        let refused = guest.filter(&event()).await;
        assert_eq!(refused, Err(Fault::Refused("no such ".into())));
    }
    assert!(!guest.is_dead());
}

#[tokio::test]
async fn text_that_is_no_unicode_is_a_fault() {
    let say = |bytes: &[u8]| {
        let length = format!("(i32.const {})", bytes.len());
        Source::filter(drop_with("(i32.const 512)", &length)).data(512, bytes)
    };
    for bytes in [&b"\xff\xfe"[..], b"\xed\xa0\x80", b"cut \xe2\x82"] {
        let fault = start(say(bytes))
            .await
            .filter(&event())
            .await
            .expect_err("a fault");
        assert_eq!(fault.kind().as_str(), "bad_answer", "{fault}");
    }
    // An unpaired surrogate, from a guest whose strings are UTF-16.
    let lone = Source::filter(drop_with("(i32.const 512)", "(i32.const 1)"));
    let lone = lone.data(512, b"\x00\xd8").utf16();
    let fault = start(lone)
        .await
        .filter(&event())
        .await
        .expect_err("a fault");
    assert_eq!(fault.kind().as_str(), "bad_answer", "{fault}");
}

#[tokio::test]
async fn an_answer_out_of_bounds_is_a_fault() {
    let mut guest = start(Source::filter("(i32.const -16)")).await;
    let fault = guest.filter(&event()).await.expect_err("a fault");
    assert_eq!(fault.kind().as_str(), "bad_answer", "{fault}");
    let unknown = answer_byte(0, 9) + &format!("(i32.const {ANSWER})");
    let fault = start(Source::filter(unknown)).await.filter(&event()).await;
    assert_eq!(fault.expect_err("a fault").kind().as_str(), "bad_answer");
}

#[tokio::test]
async fn an_enricher_adds_an_object_or_nothing() {
    let add = |json: &str| {
        let length = format!("(i32.const {})", json.len());
        let answer = [
            answer_byte(4, 1),
            answer_word(8, "(i32.const 512)"),
            answer_word(12, &length),
            format!("(i32.const {ANSWER})"),
        ];
        Source::new(Role::Enricher)
            .call(answer.concat())
            .data(512, json.as_bytes())
    };
    let mut guest = start(add(r#"{"owner":"alex"}"#)).await;
    let added = guest.enrich(&event()).await.expect("an answer");
    assert_eq!(added, json!({"owner": "alex"}).as_object().cloned());
    let mut silent = start(Source::new(Role::Enricher)).await;
    assert_eq!(silent.enrich(&event()).await, Ok(None));
    // Short as it is said, long as it is kept.
    let numbers = format!("{{\"a\":[{}1]}}", "1e15,".repeat(6_000));
    for json in ["[1]", "{", "\"text\"", &numbers] {
        let mut guest = start(add(json)).await;
        let fault = guest.enrich(&event()).await.expect_err("a fault");
        assert_eq!(fault.kind().as_str(), "bad_answer", "{fault}");
        assert!(guest.is_dead());
    }
}

#[tokio::test]
async fn a_sink_accepts_asks_for_time_or_rejects() {
    let context = DeliveryContext {
        delivery_id: "d-1".into(),
        attempt: 2,
        first_attempt: "2026-03-27T22:30:25.123Z".into(),
        test: false,
        public_url: Some("https://forge.example".into()),
    };
    let sink = |answer: Vec<String>| {
        let call = answer.concat() + &format!("(i32.const {ANSWER})");
        Source::new(Role::Sink)
            .call(call)
            .data(512, b"rate limited")
    };
    let events = [event(), event()];
    let mut accepts = start(sink(Vec::new())).await;
    assert_eq!(
        accepts.deliver(&context, &events).await,
        Ok(DeliveryOutcome::Ok)
    );

    let retry = vec![
        answer_byte(0, 1),
        answer_byte(8, 1),
        answer_word(16, "(i32.const 1500)"),
        answer_word(24, "(i32.const 512)"),
        answer_word(28, "(i32.const 12)"),
    ];
    let outcome = start(sink(retry)).await.deliver(&context, &events).await;
    let expected = DeliveryOutcome::Retry {
        after_ms: Some(1500),
        reason: "rate limited".into(),
    };
    assert_eq!(outcome, Ok(expected));

    // Rejects with the delivery id it was given.
    let reject = vec![
        answer_byte(0, 2),
        answer_word(8, "(local.get 0)"),
        answer_word(12, "(local.get 1)"),
    ];
    let outcome = start(sink(reject)).await.deliver(&context, &events).await;
    assert_eq!(outcome, Ok(DeliveryOutcome::Reject("d-1".into())));
}

#[tokio::test]
async fn a_guest_is_called_in_its_own_role_only() {
    let mut filter = start(Source::new(Role::Filter)).await;
    let fault = filter.enrich(&event()).await.expect_err("a fault");
    assert_eq!(fault.kind().as_str(), "host");
    assert_eq!(filter.filter(&event()).await, Ok(Decision::Keep));
}
