use tiny_forge_plugin::{Decision, Event, FieldError, Filter, Severity, Value, json, testing};

use super::Rules;

fn failed_deploy(project: &str) -> Event {
    let payload = json!({
        "deploy_id": 17, "project": project, "stage": "prod", "status": "failed", "planned": false,
        "message": null, "share": 0.5, "über": "ja",
        "failure": {"step": "gate", "exit-code": 137, "log_tail": ["listening", "killed"]},
    });
    let subject = format!("{project}/prod/deploys/17");
    let mut event = Event::new("deploy_status", &subject, payload);
    event.severity = Severity::Error;
    event.annotated("team", json!({"owner": "checkout"}))
}

fn rules(config: &Value) -> Rules {
    testing::configure(config).expect("valid")
}

fn decision(rules: &mut Rules, event: &Event) -> Decision {
    rules.filter(event).expect("no fault")
}

/// Whether an expression holds for a failed deploy.
fn holds(expression: &str) -> bool {
    let config = json!({"rules": [{"keep_if": expression}], "otherwise": "drop"});
    decision(&mut rules(&config), &failed_deploy("shop")) == Decision::Keep
}

fn error(rule: &Value) -> FieldError {
    let sound = json!({"keep_if": "type == 'system'"});
    let errors =
        testing::configure::<Rules>(&json!({"rules": [sound, rule]})).expect_err("refused");
    errors.into_iter().next().expect("an error")
}

#[test]
fn expressions_look_at_the_envelope_the_payload_and_annotations() {
    for expression in [
        "type == 'deploy_status' && node == \"n-test\" && actor == 'system:test'",
        "severity >= 'warning' && severity < 'critical' && severity in ['error', 'critical']",
        "'error' == severity && severity != 'info'",
        "project in ['blog', 'shop']",
        "stage.startsWith('pr') && stage.endsWith('od') && subject.contains('/deploys/')",
        "instance == ''",
        "payload.failure['exit-code'] >= 128 && payload.failure['exit-code'] == 137.0",
        "'killed' in payload.failure.log_tail && payload.failure.log_tail[0] == 'listening'",
        "'exit-code' in payload.failure && !('exit_code' in payload.failure)",
        "payload.share > -1 && payload.share < 1 && payload.share in [-0.5, 0.5]",
        "payload.planned == false && !payload.planned",
        "annotations.team.owner == 'checkout'",
        "has(annotations.team.owner) && !has(annotations.team.phone) && !has(payload.message)",
        "size(payload.failure.log_tail) == 2 && project.size() == 4 && size(annotations) > 0",
        "payload['über'] == 'ja'",
        "project == 'blog' || stage == 'prod' // and a remark",
        "true",
    ] {
        assert!(holds(expression), "{expression}");
    }
    for expression in [
        "severity >= 'critical'",
        "project.startsWith('blog')",
        "payload.failure['exit-code'] == '137'",
        "payload.failure.log_tail[2] == 'x'",
        "has(payload.status.deeper)",
        "annotations.team.owner in ['catalogue']",
        "payload.failure == payload.failure.log_tail",
    ] {
        assert!(!holds(expression), "{expression}");
    }
}

#[test]
fn what_is_absent_or_does_not_compare_holds_in_neither_form() {
    for unknown in [
        "payload.exit_code == 0",
        "payload.exit_code != 0",
        "payload.message == 'x'",
        "payload.status > 5",
        "payload.deploy_id.startsWith('1')",
        "payload.status",
        "payload.status in payload.status",
        "size(payload.deploy_id) > 0",
        "payload.nothing.at.all",
    ] {
        assert!(!holds(unknown), "{unknown}");
        assert!(!holds(&format!("!({unknown})")), "not {unknown}");
        for (joined, decided) in [
            (format!("{unknown} || stage == 'prod'"), true),
            (format!("stage == 'prod' || {unknown}"), true),
            (format!("!({unknown} && stage == 'dev')"), true),
            (format!("!(stage == 'dev' && {unknown})"), true),
            (format!("{unknown} && stage == 'prod'"), false),
            (format!("!({unknown} || stage == 'dev')"), false),
        ] {
            assert_eq!(holds(&joined), decided, "{joined}");
        }
    }
}

#[test]
fn the_first_rule_that_holds_decides_and_gives_its_reason() {
    let mut rules = rules(&json!({"rules": [
        {"keep_if": "project == 'shop'"},
        {"drop_if": "severity >= 'error' && stage != 'dev'", "reason": "no failures here"},
        {"drop_if": "type == 'audit'"},
    ]}));
    let mut decide = |event: &Event| decision(&mut rules, event);
    assert_eq!(decide(&failed_deploy("shop")), Decision::Keep);
    assert_eq!(
        decide(&failed_deploy("blog")),
        Decision::drop("no failures here")
    );
    let audit = Event::new("audit", "projects", json!({}));
    assert_eq!(decide(&audit), Decision::drop("type == 'audit'"));
    assert_eq!(
        decide(&Event::new("system", "engine", json!({}))),
        Decision::Keep
    );
}

#[test]
fn what_no_rule_keeps_can_be_dropped() {
    let mut rules = rules(&json!({"rules": [], "otherwise": "drop"}));
    assert_eq!(
        decision(&mut rules, &failed_deploy("shop")),
        Decision::drop("no rule keeps it")
    );
}

#[test]
fn a_wrong_expression_is_told_with_its_rule_its_place_and_the_remedy() {
    for (expression, place, remedy) in [
        (
            "payloads.status == 1",
            "column 1",
            "there is no `payloads`: an event has type",
        ),
        (
            "type == shop",
            "column 9",
            "a text stands in quotes: \"shop\"",
        ),
        (
            "stage == 'é' && severity > 'warn'",
            "column 28",
            "use \"debug\", \"info\"",
        ),
        (
            "true &&\n severity in ['bad']",
            "line 2, column 14",
            "\"critical\"",
        ),
        ("project", "column 1", "a text is not true or false"),
        ("project || true", "column 1", "compare it with something"),
        (
            "project.matches('a+')",
            "column 16",
            "startsWith, endsWith and contains",
        ),
        ("'a' in project", "column 8", "text.contains"),
        ("payload.list.exists(x, x == 1)", "column 20", "with `in`"),
        ("payload.a + 1 == 2", "column 11", "do not calculate"),
        (
            "payload.a == -(-9223372036854775808)",
            "column 14",
            "do not calculate",
        ),
        ("payload.a == null", "column 14", "has(payload.field)"),
        ("has(project)", "column 5", "has(payload.status)"),
        (
            "type.name == 'x'",
            "column 5",
            "only payload and annotations have fields",
        ),
        (
            "severity.startsWith('e')",
            "column 1",
            "a severity is no text",
        ),
        (
            "payload[project] == 1",
            "column 9",
            "in quotes between the brackets",
        ),
        (
            "'é' != project = 'shop'",
            "column 16",
            "an expression looks like",
        ),
        (
            "(project == 'shop'",
            "column 19",
            "an expression looks like",
        ),
        ("", "column 1", "an expression looks like"),
        (
            "lower(project) == 'a'",
            "column 1",
            "rules have startsWith, endsWith",
        ),
        ("stage == 'dev' ? true : false", "column 16", "or two rules"),
    ] {
        let error = error(&json!({"drop_if": expression, "reason": "drafts"}));
        assert_eq!(error.field, "/rules/1");
        for part in [
            "`drop_if` of the rule `drafts`",
            &format!(", {place}: "),
            remedy,
        ] {
            assert!(
                error.message.contains(part),
                "{expression}: {}",
                error.message
            );
        }
    }
}

#[test]
fn a_rule_of_the_old_kind_is_refused_with_its_new_spelling() {
    let old = json!({"name": "no drafts", "then": "keep",
        "all": [{"field": "payload.project", "equals": "draft"}]});
    let message = error(&old).message;
    for part in [
        "have become one expression",
        "keep_if = '",
        "reason = \"no drafts\"",
    ] {
        assert!(message.contains(part), "{message}");
    }
    for rule in [json!({}), json!({"keep_if": "true", "drop_if": "true"})] {
        assert_eq!(
            error(&rule).message,
            "a rule has either `keep_if` or `drop_if`"
        );
    }
    let message = error(&json!({"keep_if": "true", "resaon": "x"})).message;
    assert!(message.contains("but no `resaon`"), "{message}");
}

#[test]
fn what_would_take_too_long_or_too_deep_is_refused() {
    let nested = |depth: usize| format!("{}true{}", "(true && ".repeat(depth), ")".repeat(depth));
    assert!(holds(&nested(20)));
    assert!(holds(&vec!["project == 'shop'"; 90].join(" && ")));
    for expression in [
        nested(30),
        nested(190),
        format!("payload{} == 1", ".a".repeat(900)),
        format!("payload{} == 1", "[0]".repeat(600)),
        format!("{}true", "!-".repeat(900)),
        vec!["1"; 600].join("=="),
        format!("true{}", " ".repeat(2_000)),
    ] {
        let message = error(&json!({"keep_if": expression, "reason": "deep"})).message;
        assert!(message.contains("of the rule `deep`, column"), "{message}");
    }
}
