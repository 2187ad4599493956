//! Deliveries through the death of the server.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Client;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    folder::{put, webhook},
    program::Program,
    target::Target,
};

const PER_LIFE: usize = 40;
const LIVES: usize = 4;

#[tokio::test]
async fn nothing_published_is_lost_to_a_sink_when_the_server_is_killed_again_and_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let target = Target::start().await;
    let toml = webhook("hook", "builtin:webhook", &target)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n";
    put(&dir.path().join("plugins"), "hook.toml", toml);

    let mut made = BTreeSet::new();
    for life in 0..LIVES {
        let program = Program::serve(dir.path()).await;
        let mut events = program.sse("/api/events?after=0", None).await;
        events
            .until(|event| event["payload"]["state"] == "running")
            .await;
        if life == 0 {
            pipeline_runs(&program).await;
        }
        for number in 0..PER_LIFE {
            let project = format!("p{life}-{number}");
            let body = json!({"name": project, "spec": {"image": "none"}});
            let url = format!("{}/api/projects", program.address);
            let answer = program
                .http
                .post(url)
                .json(&body)
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 201);
            made.insert(project);
        }
        // In the middle of its deliveries, whichever they are.
        target.received(life * PER_LIFE + PER_LIFE / 2).await;
        program.signal(Signal::KILL);
        program.ended().await;
    }
    let program = Program::serve(dir.path()).await;
    target.received(made.len()).await;
    let (mut told, mut ids) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<String>>::new());
    while told != made {
        target.received(told.len() + 1).await;
        for request in target.requests() {
            for project in super::projects_told(std::slice::from_ref(&request)) {
                let id = request.header("webhook-id").to_owned();
                ids.entry(project.clone()).or_default().insert(id);
                told.insert(project);
            }
        }
        tokio::task::yield_now().await;
    }
    let several: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(
        several.is_empty(),
        "a repeat carries the id of the first: {several:?}"
    );
    let repeats = target.requests().len() - made.len();
    assert!(
        repeats <= LIVES,
        "only what was under way at a kill is repeated: {repeats}"
    );
    program.signal(Signal::TERM);
    assert!(program.ended().await.success());
}

async fn pipeline_runs(program: &Program) {
    let http = Client::builder().no_proxy().build().expect("a client");
    loop {
        let url = format!("{}/api/pipelines", program.address);
        let answer = http.get(url).send().await.expect("an answer");
        let listed: serde_json::Value = answer.json().await.expect("JSON");
        if listed["items"][0]["state"] == "running" {
            return;
        }
        tokio::task::yield_now().await;
    }
}
