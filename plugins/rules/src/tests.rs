use tiny_forge_plugin::{Decision, Event, FieldError, Filter, Severity, Value, json, testing};

use super::Rules;

fn failed_deploy(project: &str) -> Event {
    let payload = json!({
        "deploy_id": 17, "project": project, "stage": "prod", "status": "failed",
        "failure": {"step": "gate", "exit_code": 137, "log_tail": ["listening", "killed"]},
    });
    let mut event = Event::new(
        "deploy_status",
        &format!("{project}/prod/deploys/17"),
        payload,
    );
    event.severity = Severity::Error;
    event
}

/// Whether one condition, as the operator writes it, holds for a failed deploy.
fn holds(condition: Value) -> bool {
    let config = json!({
        "rules": [{"name": "it", "then": "keep", "all": [condition]}],
        "otherwise": "drop",
    });
    let mut rules: Rules = testing::configure(&config).expect("valid");
    let event = failed_deploy("shop").annotated("team", json!({"owner": "checkout"}));
    rules.filter(&event).expect("no fault") == Decision::Keep
}

fn errors(config: Value) -> Vec<FieldError> {
    testing::configure::<Rules>(&config).err().expect("refused")
}

#[test]
fn conditions_look_at_the_envelope_the_payload_and_annotations() {
    for condition in [
        json!({"field": "type", "equals": "deploy_status"}),
        json!({"field": "severity", "at_least": "warning"}),
        json!({"field": "severity", "at_most": "error"}),
        json!({"field": "project", "one_of": ["blog", "shop"]}),
        json!({"field": "stage", "matches": "pr*d"}),
        json!({"field": "subject", "contains": "/deploys/"}),
        json!({"field": "instance", "exists": false}),
        json!({"field": "payload.failure.exit_code", "at_least": 128}),
        json!({"field": "payload.failure.exit_code", "equals": 137.0}),
        json!({"field": "payload.failure.log_tail", "contains": "killed"}),
        json!({"field": "payload.failure.log_tail.0", "equals": "listening"}),
        json!({"field": "annotations.team.owner", "equals": "checkout"}),
    ] {
        assert!(holds(condition.clone()), "{condition}");
    }
    for condition in [
        json!({"field": "severity", "at_least": "critical"}),
        json!({"field": "project", "matches": "blog*"}),
        json!({"field": "payload.failure.exit_code", "at_most": 100}),
        json!({"field": "payload.failure.exit_code", "equals": "137"}),
        json!({"field": "payload.message", "matches": "*"}),
        json!({"field": "payload.status.deeper", "exists": true}),
        json!({"field": "annotations.team.owner", "at_least": 1}),
    ] {
        assert!(!holds(condition.clone()), "{condition}");
    }
}

#[test]
fn the_first_rule_that_matches_decides_and_is_named() {
    let mut rules: Rules = testing::configure(&json!({
        "rules": [
            {"name": "shop always", "then": "keep", "all": [{"field": "project", "equals": "shop"}]},
            {"name": "no failures", "then": "drop",
             "any": [{"field": "severity", "equals": "error"}, {"field": "severity", "equals": "critical"}],
             "none": [{"field": "stage", "equals": "dev"}]},
        ],
    }))
    .expect("valid");

    let mut decide = |event: &Event| rules.filter(event).expect("no fault");
    assert_eq!(decide(&failed_deploy("shop")), Decision::Keep);
    assert_eq!(
        decide(&failed_deploy("blog")),
        Decision::drop("rule `no failures` drops it")
    );
    assert_eq!(
        decide(&Event::new("system", "engine", json!({}))),
        Decision::Keep
    );
}

#[test]
fn what_no_rule_keeps_can_be_dropped() {
    let mut rules: Rules =
        testing::configure(&json!({"rules": [], "otherwise": "drop"})).expect("valid");
    assert_eq!(
        rules.filter(&failed_deploy("shop")).expect("no fault"),
        Decision::drop("no rule keeps it")
    );
}

#[test]
fn a_wrong_condition_is_told_with_its_place() {
    let with = |condition: Value| {
        let sound = json!({"field": "type", "equals": "system"});
        let rule = json!({"name": "a", "then": "drop", "all": [sound, condition]});
        errors(json!({"rules": [rule]})).remove(0)
    };
    let unknown = with(json!({"field": "payloads.status", "equals": 1}));
    assert_eq!(unknown.field, "/rules/0/all/1");
    assert!(
        unknown
            .message
            .starts_with("there is no field `payloads.status`"),
        "{}",
        unknown.message
    );
    let twofold = with(json!({"field": "type", "equals": "a", "matches": "b"}));
    assert!(
        twofold.message.contains("needs exactly one of"),
        "{}",
        twofold.message
    );
}

#[test]
fn a_rule_without_a_condition_is_refused() {
    let errors = errors(json!({"rules": [{"name": "all", "then": "drop"}]}));
    assert_eq!(errors[0].field, "/rules/0");
}
