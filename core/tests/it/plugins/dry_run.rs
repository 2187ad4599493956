//! Plugins and pipelines tried on past events.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tiny_forge::model::Timestamp;

use super::{Host, publish};
use crate::{
    sandbox::guest::{ANSWER, Source, drop_with},
    support::{
        binary::Binary,
        folder::{built, put, put_built, webhook},
    },
};

const PROJECTS: [&str; 3] = ["shop", "blog", "noisy"];

/// A webhook that has got all that happened.
async fn hooked() -> Host {
    let mut host = Host::start().await;
    let toml = webhook("hook", "builtin:webhook", &host.target)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n";
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    host.pipeline(|all| all["state"] == "running").await;
    for project in PROJECTS {
        publish(&host.server, project).await;
        host.delivery_is("delivered").await;
    }
    host
}

async fn tried(host: &Host, path: &str, body: &Value) -> Value {
    let (status, run) = host.server.post(path, body).await;
    assert_eq!(status, StatusCode::OK, "{run}");
    run
}

/// A file that the server does not have.
fn file(name: &str, wasm: &[u8]) -> Value {
    json!({ name: STANDARD.encode(wasm) })
}

fn outcomes(run: &Value) -> Vec<&str> {
    let events = run["events"].as_array().expect("events");
    let outcomes = events.iter().map(|event| event["outcome"].as_str());
    outcomes.map(|outcome| outcome.expect("a word")).collect()
}

fn reasons(run: &Value) -> Vec<Option<&str>> {
    let events = run["events"].as_array().expect("events");
    events
        .iter()
        .map(|event| event["reason"].as_str())
        .collect()
}

#[tokio::test]
async fn a_sink_shows_what_it_would_send_beside_what_it_sent_and_sends_nothing() {
    let host = hooked().await;
    let body = json!({"when": {"type": ["project_status"]}});
    let run = tried(&host, "/api/plugins/hook/dry-run", &body).await;
    assert_eq!(run["complete"], true);
    assert_eq!(run["notes"], json!([]), "its deliveries stand beside");
    assert_eq!(outcomes(&run), ["passed"; 3]);
    assert_eq!(run["summary"]["deliveries"], 3);
    assert_eq!(run["summary"]["failed_deliveries"], 0);
    let sent = host.target.requests();
    assert_eq!(sent.len(), PROJECTS.len());
    let would = &run["deliveries"][0];
    assert_eq!(would["outcome"], "ok");
    assert_eq!(would["really"][0]["status"], "delivered");
    let request = &would["requests"][0];
    assert_eq!(request["method"], "POST");
    assert_eq!(request["url"], format!("{}/hook", host.target.origin()));
    let body = request["body"].as_str().expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["data"]["events"], sent[0].json()["data"]["events"]);

    let refused = json!({"answer": {"status": 400, "body": "no"}, "limit": 1});
    let run = tried(&host, "/api/plugins/hook/dry-run", &refused).await;
    assert_eq!(run["deliveries"][0]["outcome"], "reject");
    assert_eq!(run["complete"], false);
    let note = run["notes"][0].as_str().expect("a note");
    assert!(note.contains("stopped after 1"), "{note}");
    host.server.stop().await;
}

#[tokio::test]
async fn a_pipeline_that_is_not_installed_yet_shows_what_it_would_change() {
    let host = hooked().await;
    let toml = "[plugin.quiet]\nfile = \"builtin:rules\"\n\
         config.rules = [{ drop_if = 'project == \"noisy\"', reason = \"noise\" }]\n\
         [pipeline.all]\nwhen.type = \"project_status\"\nsteps = [\"quiet\"]\nsinks = [\"hook\"]\n\
         batch = { events = 2, wait = \"1h\" }\n";
    let run = tried(&host, "/api/pipelines/all/dry-run", &json!({"toml": toml})).await;
    assert_eq!(outcomes(&run), ["passed", "passed", "dropped"]);
    let differs: Vec<&Value> = run["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["differs"])
        .collect();
    assert_eq!(differs, [false, false, true], "{run}");
    assert_eq!(run["events"][2]["really"][0]["outcome"], "passed");
    assert_eq!(run["deliveries"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        run["deliveries"][0]["events"],
        json!([run["events"][0]["id"], run["events"][1]["id"]])
    );
    let installed: Vec<_> = run["plugins"]
        .as_array()
        .expect("plugins")
        .iter()
        .map(|it| (it["name"].as_str(), it["installed"].as_bool()))
        .collect();
    assert_eq!(
        installed,
        [(Some("hook"), Some(true)), (Some("quiet"), Some(false))]
    );

    let as_it_is = tried(&host, "/api/pipelines/all/dry-run", &json!({})).await;
    assert_eq!(as_it_is["summary"]["different"], 0);
    let delivery = &as_it_is["deliveries"][0];
    assert_eq!(delivery["id"], delivery["really"][0]["id"]);
    host.pipeline(|all| all["seen"] == 3 && all["dropped"] == 0)
        .await;
    host.server.stop().await;
}

#[tokio::test]
async fn a_file_that_is_not_installed_is_tried_and_leaves_nothing_behind() {
    let host = hooked().await;
    let wasm = std::fs::read(built("team")).expect("the example");
    let toml = "[plugin.team]\nfile = \"team.wasm\"\nconfig.owners.shop = \"checkout\"\n";
    let body = json!({"toml": toml, "files": file("team.wasm", &wasm),
        "when": {"type": ["project_status"]}});
    let run = tried(&host, "/api/plugins/team/dry-run", &body).await;
    let step = &run["events"][0]["steps"][0];
    assert_eq!(step["decision"], "added");
    assert_eq!(step["detail"], r#"{"owner":"checkout"}"#);

    // Keeps the first event, remembers that, and drops the others.
    let once = "(call $get (i32.const 512) (i32.const 1) (i32.const 600))";
    let drop = drop_with("(i32.load (i32.const 604))", "(i32.load (i32.const 608))");
    let set =
        "(call $set (i32.const 512) (i32.const 1) (i32.const 520) (i32.const 5) (i32.const 640))";
    let call = format!(
        "{once} (if (result i32) (i32.load8_u (i32.const 600))
            (then {drop}) (else {set} (i32.const {ANSWER})))"
    );
    let source = Source::filter(call)
        .import("get", "store", "get", "(param i32 i32 i32)")
        .import("set", "store", "set", "(param i32 i32 i32 i32 i32)")
        .data(512, b"k")
        .data(520, b"again");
    let body = json!({"files": file("first.wasm", &source.component()),
        "when": {"type": ["project_status"]}});
    for _ in 0..2 {
        let run = tried(&host, "/api/plugins/first/dry-run", &body).await;
        assert_eq!(reasons(&run), [None, Some("again"), Some("again")], "{run}");
    }
    let known = host.server.json("/api/plugins").await;
    assert_eq!(known["items"].as_array().map(Vec::len), Some(1), "{known}");
    host.server.stop().await;
}

#[tokio::test]
async fn a_new_file_of_a_configured_plugin_is_tried_with_its_configuration() {
    let mut host = Host::start().await;
    put_built(&host.folder(), "rules", "rules.wasm");
    put(
        &host.folder(),
        "rules.toml",
        "[plugin.rules]\nfile = \"rules.wasm\"\n\
         config.rules = [{ drop_if = 'project == \"noisy\"', reason = \"noise\" }]\n",
    );
    host.plugin_is("rules", "running").await;
    for project in PROJECTS {
        publish(&host.server, project).await;
    }
    let wasm = std::fs::read(built("rules")).expect("it is built");
    let body = json!({"files": file("rules.wasm", &wasm)});
    let run = tried(&host, "/api/plugins/rules/dry-run", &body).await;
    let dropped = outcomes(&run).into_iter().filter(|it| *it == "dropped");
    assert_eq!(dropped.count(), 1, "{run}");

    std::fs::remove_file(host.folder().join("rules.wasm")).expect("removed");
    host.plugin_is("rules", "missing").await;
    let path = "/api/plugins/rules/dry-run";
    let (status, problem) = host.server.post(path, &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    let why = problem["detail"].as_str().expect("a reason");
    assert!(why.contains("`rules.wasm`"), "{why}");
    host.server.stop().await;
}

#[tokio::test]
async fn the_time_of_day_is_that_of_the_event() {
    let host = hooked().await;
    // Drops with the time in milliseconds, digit by digit.
    let digits = "(local $n i64) (local $i i32)
        (local.set $n (call $now)) (local.set $i (i32.const 13))
        (loop $next
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (i32.store8 (i32.add (i32.const 700) (local.get $i))
                (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10)))))
            (local.set $n (i64.div_u (local.get $n) (i64.const 10)))
            (br_if $next (local.get $i)))";
    let call = digits.to_owned() + &drop_with("(i32.const 700)", "(i32.const 13)");
    let source = Source::filter(call).import("now", "clock", "now-ms", "(result i64)");
    let body = json!({"files": file("clock.wasm", &source.component())});
    let run = tried(&host, "/api/plugins/clock/dry-run", &body).await;
    let events = run["events"].as_array().expect("events");
    assert!(events.len() >= PROJECTS.len());
    for event in events {
        let time = event["time"].as_str().and_then(Timestamp::parse);
        let time = time.expect("a time").unix_ms().to_string();
        assert_eq!(event["reason"], time, "{event}");
    }
    host.server.stop().await;
}

#[tokio::test]
async fn a_plugin_that_fails_is_asked_about_every_event_all_the_same() {
    let host = hooked().await;
    let source = Source::filter("(unreachable)").component();
    let toml = "[plugin.trap]\nfile = \"trap.wasm\"\n[pipeline.careful]\n\
         when.type = \"project_status\"\n\
         steps = [{ plugin = \"trap\", on_error = \"hold\" }]\nsinks = [\"hook\"]\n";
    let body = json!({"toml": toml, "files": file("trap.wasm", &source)});
    let run = tried(&host, "/api/pipelines/careful/dry-run", &body).await;
    assert_eq!(outcomes(&run), ["held"; 3]);
    assert_eq!(run["plugins"][1]["faults"], 3);
    let reason = run["events"][2]["reason"].as_str().expect("why");
    assert!(
        reason.contains("`trap`") && reason.contains("unreachable"),
        "{reason}"
    );
    host.server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_tried_is_named_with_its_place() {
    let host = Host::start().await;
    let misplaced = "[plugin.w]\nfile = \"builtin:webhook\"\nconfig.url = \"https://a.test\"\n\
         config.sign_with = []\n[pipeline.p]\nsteps = [\"w\"]\nsinks = [\"w\"]\n";
    for (path, body, status, words) in [
        (
            "pipelines/p",
            json!({"toml": misplaced}),
            409,
            ["`w`", "has the role sink: name it under `sinks`"],
        ),
        (
            "plugins/none",
            json!({}),
            404,
            ["plugin `none`", "does not exist: add [plugin.none]"],
        ),
        (
            "pipelines/none",
            json!({}),
            404,
            ["pipeline `none`", "does not exist: add [pipeline.none]"],
        ),
        (
            "plugins/x",
            json!({"since": "yesterday"}),
            422,
            ["/since", "24h"],
        ),
        (
            "plugins/x",
            json!({"limit": 0}),
            422,
            ["/limit", "1 and 2000"],
        ),
        (
            "plugins/x",
            json!({"toml": "[plugin.x]\nfile = 1"}),
            422,
            ["/toml", "line 2"],
        ),
        (
            "plugins/x",
            json!({"files": {"../x.wasm": ""}}),
            422,
            ["/files", "plugins folder"],
        ),
        (
            "plugins/x",
            json!({"files": {"x.wasm": "%"}}),
            422,
            ["/files/x.wasm", "base64"],
        ),
        (
            "plugins/x",
            json!({"files": {"x.wasm": "AAAA"}}),
            409,
            ["`x`", "cannot be tried"],
        ),
    ] {
        let (answered, problem) = host
            .server
            .post(&format!("/api/{path}/dry-run"), &body)
            .await;
        let detail = problem["detail"].as_str().expect("a problem");
        assert_eq!(answered.as_u16(), status, "{body}: {detail}");
        for word in words {
            assert!(detail.contains(word), "{body}: {detail}");
        }
    }
    host.server.stop().await;
}

#[tokio::test]
async fn the_command_tries_the_past_as_far_back_as_it_is_told() {
    let host = hooked().await;
    let program = Binary::against(&host.server);
    let said = async |arguments: &[&str]| {
        let arguments = [&["plugin", "dry-run"], arguments].concat();
        let output = program.run(&arguments).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let whole = said(&["--pipeline", "all", "--since", "24h", "--json"]).await;
    let run: Value = serde_json::from_str(&whole).expect("JSON");
    assert_eq!(run["summary"]["events"], PROJECTS.len());
    assert_eq!(run["summary"]["deliveries"], PROJECTS.len());
    let since = Timestamp::now().to_string();
    let nothing = said(&["hook", "--since", &since, "--json"]).await;
    let run: Value = serde_json::from_str(&nothing).expect("JSON");
    assert_eq!(run["summary"]["events"], 0);
    let filter = host.server.dir.path().join("drops.wasm");
    let drops = Source::filter(drop_with("(i32.const 512)", "(i32.const 4)")).data(512, b"dull");
    std::fs::write(&filter, drops.component()).expect("written");
    let told = said(&[filter.to_str().expect("UTF-8"), "--since", "1h"]).await;
    assert!(told.contains("dull"), "{told}");
    assert_eq!(
        host.target.requests().len(),
        PROJECTS.len(),
        "none was sent"
    );
    host.server.stop().await;
}
