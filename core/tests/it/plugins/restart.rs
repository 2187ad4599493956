//! Deliveries through the death of the server.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Client;
use rustix::process::Signal;
use serde_json::json;

use super::projects_told;
use crate::support::{
    folder::{put, webhook},
    program::Program,
    target::{Received, Target},
    wait,
};

const PER_LIFE: usize = 40;
const LIVES: usize = 4;

#[tokio::test]
async fn nothing_published_is_lost_to_a_sink_when_the_server_is_killed_again_and_again() {
    nothing_is_lost("", 1).await;
}

#[tokio::test]
async fn nothing_that_waits_for_its_batch_is_lost_when_the_server_is_killed() {
    nothing_is_lost("batch = { events = 7, wait = \"1s\" }\n", 7).await;
}

/// With at most so many events in a delivery.
async fn nothing_is_lost(batch: &str, batch_max: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let target = Target::start().await;
    let toml = webhook("hook", "builtin:webhook", &target)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n"
        + batch;
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
        let half = life * PER_LIFE + PER_LIFE / 2;
        target
            .until(|requests| projects_told(requests).len() >= half)
            .await;
        program.signal(Signal::KILL);
        program.ended().await;
    }
    let program = Program::serve(dir.path()).await;
    let all = |requests: &[Received]| BTreeSet::from_iter(projects_told(requests)) == made;
    let requests = target.until(all).await;
    let mut ids = BTreeMap::<String, BTreeSet<String>>::new();
    for request in &requests {
        for project in projects_told(std::slice::from_ref(request)) {
            let id = request.header("webhook-id").to_owned();
            ids.entry(project).or_default().insert(id);
        }
    }
    let several: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(
        several.is_empty(),
        "a repeat carries the id of the first: {several:?}"
    );
    let repeats = projects_told(&requests).len() - made.len();
    assert!(
        repeats <= LIVES * batch_max,
        "only what was under way at a kill is repeated: {repeats}"
    );
    program.signal(Signal::TERM);
    assert!(program.ended().await.success());
}

async fn pipeline_runs(program: &Program) {
    let http = Client::builder().no_proxy().build().expect("a client");
    let runs = wait::answer(async || {
        let url = format!("{}/api/pipelines", program.address);
        let answer = http.get(url).send().await.expect("an answer");
        let listed: serde_json::Value = answer.json().await.expect("JSON");
        (listed["items"][0]["state"] == "running").then_some(())
    });
    runs.await.expect("it runs in time");
}
