//! A canary in every source of secrets, used in every place, repeated by the target,
//! and found out by hostile guests: it must show up nowhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    sandbox::{
        guest::{Role, Source, answer_byte, answer_word, drop_with},
        post::Post,
    },
    support::{
        binary::Binary,
        folder::put,
        program::{NO_ENGINE, Program},
        target::Target,
        wait,
    },
};

/// With something to escape in each kind of text; the middle needs no escaping in any.
const CANARIES: [&str; 3] = [
    "canary-env \"q\" /+%",
    "canary-file \\ &?#",
    "canary-store ü <>",
];

/// Those of guests that have not found it out. A dry run has no values of secrets, so it can
/// tell none, and shows as it is what a guest has in its own file.
const DRY_RUNS: [&str; 3] = ["plugins/hook", "plugins/poster", "pipelines/post"];

/// Where the guest has found it: in its own file.
const AT: u32 = 4096;

/// Says the canary in its log, tries to store it, and then answers.
fn knowing(role: Role, text: &str, answer: &str) -> Vec<u8> {
    let length = text.len();
    let call = format!(
        "(call $log (i32.const 1) (i32.const {AT}) (i32.const {length}))
         (call $set (i32.const 512) (i32.const 1) (i32.const {AT}) (i32.const {length}) (i32.const 600))
         {answer}"
    );
    Source::new(role)
        .import("log", "log", "write", "(param i32 i32 i32)")
        .import("set", "store", "set", "(param i32 i32 i32 i32 i32)")
        .data(512, b"k")
        .data(AT, text.as_bytes())
        .call(call)
        .component()
}

fn said(text: &str) -> (String, String) {
    (
        format!("(i32.const {AT})"),
        format!("(i32.const {})", text.len()),
    )
}

fn knowing_guests() -> [(&'static str, Vec<u8>); 3] {
    let all = CANARIES.join(" | ");
    let added = json!({ "found": all, all.as_str(): [1, all] }).to_string();
    let (pointer, length) = said(&all);
    let drops = drop_with(&pointer, &length);
    let adds = {
        let (pointer, length) = said(&added);
        drop_with(&pointer, &length)
    };
    let rejects = [
        answer_byte(0, 2),
        answer_word(8, &pointer),
        answer_word(12, &length),
        "(i32.const 256)".to_owned(),
    ];
    [
        ("dropper.wasm", knowing(Role::Filter, &all, &drops)),
        ("adder.wasm", knowing(Role::Enricher, &added, &adds)),
        (
            "rejecter.wasm",
            knowing(Role::Sink, &all, &rejects.concat()),
        ),
    ]
}

/// A filter that uses all three in path, query, header and body, and gives the answer
/// as its reason.
fn poster(target: &Target) -> Vec<u8> {
    let url = format!(
        "{}/p/{{secret:ENV}}/{{secret:FILE}}/{{secret:STORE}}?q={{secret:ENV}}&r={{secret:FILE}}&s={{secret:STORE}}",
        target.origin()
    );
    let post = Post {
        url: &url,
        header: Some(("x-token", "{secret:ENV} {secret:FILE} {secret:STORE}")),
        body: b"{secret:ENV} {secret:FILE} {secret:STORE}",
        ..Post::default()
    };
    post.source().component()
}

fn toml(target: &Target, secret_file: &Path) -> String {
    let origin = target.origin();
    let common = format!(
        "secrets.ENV = \"env:CANARY\"\nsecrets.FILE = \"file:{}\"\nsecrets.STORE = \"store:canary\"\n\
         grants.http = [\"{origin}\"]\ngrants.networks = [\"127.0.0.1/32\"]\n",
        secret_file.display()
    );
    let guests = ["dropper", "adder", "rejecter", "poster"];
    let guests = guests.map(|name| format!("[plugin.{name}]\nfile = \"{name}.wasm\"\n{common}\n"));
    guests.concat()
        + &format!(
            "[plugin.hook]\nfile = \"builtin:webhook\"\nconfig.url = \"{origin}/{{secret:ENV}}?k={{secret:FILE}}\"\n\
             config.headers.x-token = \"{{secret:STORE}}\"\nconfig.sign_with = [\"ENV\", \"FILE\", \"STORE\"]\n{common}\n\
             [pipeline.drop]\nwhen.type = \"project_status\"\nsteps = [\"dropper\"]\nsinks = [\"hook\"]\n\
             [pipeline.post]\nwhen.type = \"project_status\"\nsteps = [\"poster\"]\nsinks = [\"hook\"]\n\
             [pipeline.send]\nwhen.type = \"project_status\"\nsteps = [\"adder\"]\nsinks = [\"hook\", \"rejecter\"]\n"
        )
}

/// What is left of a canary in any form: its middle, plain or as base64.
fn leaks(text: &[u8]) -> Vec<String> {
    let mut forms: Vec<String> = Vec::new();
    for canary in CANARIES {
        let name = canary.split(' ').next().expect("a word");
        forms.push(name.to_owned());
        for before in 0..3 {
            let encoded = STANDARD.encode([&b"xx"[..before], name.as_bytes()].concat());
            forms.push(encoded[4..encoded.len() - 4].to_owned());
        }
    }
    forms.retain(|form| text.windows(form.len()).any(|part| part == form.as_bytes()));
    forms
}

fn assert_clean(what: &str, text: &[u8]) {
    let leaks = leaks(text);
    let place = leaks.first().map(|leak| {
        let mut windows = text.windows(leak.len());
        let at = windows
            .position(|part| part == leak.as_bytes())
            .unwrap_or(0);
        let around = at.saturating_sub(200)..text.len().min(at + 200);
        String::from_utf8_lossy(&text[around]).into_owned()
    });
    assert!(leaks.is_empty(), "{what} has {leaks:?}: … {place:?} …");
}

async fn until(program: &Program, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = wait::answer(async || {
        last = program.json(path).await;
        wanted(&last).then(|| last.clone())
    });
    let found = found.await;
    found.unwrap_or_else(|| panic!("{path} stays as it is: {last:#}"))
}

async fn put_secret(program: &Program, value: &str) {
    let url = format!("{}/api/secrets/canary", program.address);
    let put = program
        .http
        .request(Method::PUT, url)
        .json(&json!({ "value": value }));
    let answer = put.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_clean("the answer", &answer.bytes().await.expect("a body"));
}

#[tokio::test]
async fn a_canary_is_in_no_list_event_stream_log_or_file() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (data, secret_file) = (dir.path().join("data"), dir.path().join("secret"));
    fs::write(&secret_file, CANARIES[1]).expect("written");
    let target = Target::start().await;
    target.echo();
    let folder = data.join("plugins");
    for (name, wasm) in knowing_guests() {
        put(&folder, name, wasm);
    }
    put(&folder, "poster.wasm", poster(&target));
    put(&folder, "all.toml", toml(&target, &secret_file));
    let log = dir.path().join("log");
    // Not how guests are compiled: their own files are in there.
    let verbose = "trace,cranelift_codegen=info,regalloc2=info,wasmtime=info";
    let binary = Binary::new()
        .with("CANARY", CANARIES[0])
        .with("TINY_FORGE_LOG", verbose)
        .logging_to(&log);
    let program = Program::serve_as(&data, NO_ENGINE, &binary).await;
    put_secret(&program, CANARIES[2]).await;
    let running = |all: &Value| {
        let items = all["items"].as_array().expect("items");
        items.len() == 5 && items.iter().all(|it| it["state"] == "running")
    };
    until(&program, "/api/plugins", running).await;
    program.create_project("shop").await;
    until(&program, "/api/deliveries", |all| {
        let items = all["items"].as_array().expect("items").iter();
        items.filter(|it| it["status"] == "dead").count() == 2
    })
    .await;
    until(&program, "/api/pipelines", |all| {
        let items = all["items"].as_array().expect("items").iter();
        items.filter(|it| it["recent_drops"][0].is_object()).count() == 2
    })
    .await;
    was_used(&target);
    was_told(&program).await;
    let shown = everything(&program).await;
    assert!(
        shown.matches("(secret)").count() > 20,
        "it was taken out: {shown}"
    );
    assert_clean("the API", shown.as_bytes());
    files_are_clean(&data);
    command_line_is_clean(&program).await;
    backup_is_clean(&data, &dir.path().join("backup")).await;
    program.end(Signal::TERM).await;
    files_are_clean(&data);
    assert_clean("the server's log", &fs::read(&log).expect("a log"));
    let database = fs::read(data.join("tiny-forge.db")).expect("a database");
    assert!(!leaks(&fs::read(folder.join("dropper.wasm")).expect("a file")).is_empty());
    assert!(database.windows(10).any(|part| part == b"sealed:v1:"));
}

/// Else this test would show nothing.
fn was_used(target: &Target) {
    let requests = target.requests();
    let posted = requests
        .iter()
        .find(|it| it.path.starts_with("/p/"))
        .expect("the filter's");
    assert_eq!(posted.body, CANARIES.join(" "));
    for name in ["canary-env", "canary-file", "canary-store"] {
        assert_eq!(posted.path.matches(name).count(), 2, "{}", posted.path);
    }
    let hook = requests
        .iter()
        .find(|it| it.path.contains("?k="))
        .expect("the sink's");
    assert!(hook.path.contains("canary-env") && hook.path.contains("canary-file"));
    assert_eq!(hook.header("webhook-signature").split(' ').count(), 3);
}

/// That guests have said what they found out.
async fn was_told(program: &Program) {
    let all = program.json("/api/plugins").await;
    for name in ["dropper", "adder", "rejecter"] {
        let items = all["items"].as_array().expect("items").iter();
        let plugin = items
            .clone()
            .find(|it| it["name"] == name)
            .expect("it is listed");
        let line = plugin["recent_log"][0]["message"].as_str().expect("a line");
        assert!(line.contains("(secret)"), "{name}: {line}");
    }
    let annotated = program.json("/api/events?type=event_annotated").await;
    let added = &annotated["items"][0]["payload"]["annotations"];
    assert!(added.to_string().contains("(secret)"), "{annotated}");
}

/// All that the API shows of anything.
async fn everything(program: &Program) -> String {
    let mut shown = String::new();
    let mut paths: Vec<String> = ["plugins", "pipelines", "deliveries", "secrets", "status"]
        .map(|name| format!("/api/{name}"))
        .to_vec();
    let deliveries = program.json("/api/deliveries").await;
    for delivery in deliveries["items"].as_array().expect("items") {
        paths.push(format!(
            "/api/deliveries/{}",
            delivery["id"].as_str().expect("an id")
        ));
    }
    let events = program.json("/api/events?limit=500").await;
    shown += &events.to_string();
    for event in events["items"].as_array().expect("items") {
        paths.push(format!("/api/events/{}", event["id"]));
        paths.push(format!("/api/events/{}/trace", event["id"]));
    }
    for path in paths {
        shown += &program.json(&path).await.to_string();
    }
    for path in ["/api/metrics", "/api/openapi.json"] {
        let got = program
            .http
            .get(format!("{}{path}", program.address))
            .send()
            .await;
        shown += &got.expect("an answer").text().await.expect("text");
    }
    for tried in DRY_RUNS {
        let url = format!("{}/api/{tried}/dry-run", program.address);
        let run = program.http.post(url).json(&json!({})).send().await;
        let run = run.expect("an answer").text().await.expect("text");
        assert!(run.contains("{secret:ENV}"), "it names them: {run}");
        shown += &run;
    }
    for sink in ["hook", "rejecter"] {
        let url = format!("{}/api/plugins/{sink}/test", program.address);
        let tested = program.http.post(url).json(&json!({})).send().await;
        shown += &tested.expect("an answer").text().await.expect("text");
    }
    let head = program.json("/api/status").await["journal"]["head"].clone();
    let mut stream = program.sse("/api/events?after=0", None).await;
    loop {
        let event = stream.event().await.expect("an event");
        shown += &event.to_string();
        if event["id"].as_i64() >= head.as_i64() {
            return shown;
        }
    }
}

/// What it prints of plugins, and of what they would do.
async fn command_line_is_clean(program: &Program) {
    let binary = Binary::new().with("TINY_FORGE_SERVER", &program.address);
    for (arguments, expected) in [
        (&["plugin", "list"][..], "rejecter"),
        (&["plugin", "dry-run", "hook"], "{secret:ENV}"),
        (&["plugin", "dry-run", "poster", "--json"], "{secret:ENV}"),
        (&["plugin", "dry-run", "--pipeline", "post"], "poster"),
    ] {
        let done = binary.run(arguments).await;
        let printed = [done.stdout, done.stderr].concat();
        let text = String::from_utf8_lossy(&printed);
        assert!(done.status.success() && text.contains(expected), "{text}");
        assert_clean(&arguments.join(" "), &printed);
    }
}

async fn backup_is_clean(data: &Path, to: &Path) {
    let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let (data, to) = (path(data), path(to));
    let done = Binary::new().run(&["backup", &to, "--data", &data]).await;
    assert!(done.status.success(), "{done:?}");
    assert_clean("a backup", &fs::read(to).expect("a file"));
}

/// But for what guests are made of.
fn files_are_clean(data: &Path) {
    let mut folders = vec![data.to_owned()];
    let mut seen: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let of_guests = ["plugins", "accepted", "cache"];
            let is_guest = of_guests.iter().any(|name| path.ends_with(name));
            match path.is_dir() {
                true if is_guest => {}
                true => folders.push(path),
                // A log that was just emptied may be gone.
                false => {
                    if let Ok(bytes) = fs::read(&path) {
                        assert_clean(&path.display().to_string(), &bytes);
                        seen.push(path);
                    }
                }
            }
        }
    }
    assert!(
        seen.iter().any(|path| path.ends_with("tiny-forge.db")),
        "{seen:?}"
    );
}
