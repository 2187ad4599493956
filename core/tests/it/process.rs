//! The program as a process: how it starts, ends and dies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{binary::Binary, program::Program, sse::Sse};

#[tokio::test]
async fn ctrl_c_ends_streams_at_once_and_the_program_in_time() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for signal in [Signal::INT, Signal::TERM] {
        let program = Program::serve(dir.path()).await;
        let mut stream = program.sse("/api/events", None).await;
        let asked = Instant::now();
        program.signal(signal);
        while stream.frame().await.is_some() {}
        assert!(asked.elapsed() < Duration::from_secs(1), "streams");
        assert!(program.ended().await.success());
        assert!(asked.elapsed() < Duration::from_secs(10), "the program");
    }
}

#[tokio::test]
async fn a_second_program_on_the_same_data_and_a_taken_port_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let first = Program::serve(dir.path()).await;
    let data = dir.path().to_str().expect("UTF-8");
    let port = first.address.rsplit(':').next().expect("a port");
    let taken = format!("127.0.0.1:{port}");
    let other = dir.path().join("other");
    let other = other.to_str().expect("UTF-8");
    for (arguments, named) in [
        (
            ["serve", "--listen", "127.0.0.1:0", "--data", data],
            "in use by another tiny-forge",
        ),
        (["serve", "--listen", &taken, "--data", other], "--listen"),
    ] {
        let output = Binary::new().run(&arguments).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(named), "{said}");
    }
}

#[tokio::test]
async fn a_kill_in_mid_publishing_loses_nothing_acknowledged_and_repeats_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut seen, mut last_id) = (Vec::new(), None);
    let acknowledged = Arc::new(AtomicI64::new(0));
    for round in 1..=3 {
        let program = Program::serve(dir.path()).await;
        let path = if round == 1 {
            "/api/events?after=0"
        } else {
            "/api/events"
        };
        let mut stream = program.sse(path, last_id.as_deref()).await;
        assert_eq!(stream.hello["resumed"], true);
        create_project(&program).await;
        let mut publishers = publish(&program, &acknowledged);
        seen.extend(events(&mut stream, 150).await);
        program.signal(Signal::KILL);
        program.ended().await;
        while publishers.join_next().await.is_some() {}
        // What was on its way to us counts as seen.
        while let Some(event) = stream.event().await {
            seen.push(event);
        }
        last_id = Some(stream.last_id);
    }
    let program = Program::serve(dir.path()).await;
    let mut stream = program.sse("/api/events", last_id.as_deref()).await;
    let mut rest = Vec::new();
    stream
        .until(|event| {
            rest.push(event.clone());
            event["payload"]["what"] == "started"
        })
        .await;
    seen.extend(rest);
    let ids: Vec<i64> = seen
        .iter()
        .filter_map(|event| event["id"].as_i64())
        .collect();
    let expected: Vec<i64> = (1..=ids.len() as i64).collect();
    assert_eq!(ids, expected, "no gap, no duplicate");
    let updates = seen
        .iter()
        .filter(|event| event["payload"]["change"] == "updated")
        .count();
    assert!(updates as i64 >= acknowledged.load(Ordering::SeqCst));
}

async fn create_project(program: &Program) {
    let body = json!({"name": "p", "spec": {"image": "app:1"}});
    let url = format!("{}/api/projects", program.address);
    let answer = program.http.post(url).json(&body).send().await;
    let status = answer.expect("an answer").status();
    assert!([201, 409].contains(&status.as_u16()), "{status}");
}

/// Four clients that publish until the server is gone.
fn publish(program: &Program, acknowledged: &Arc<AtomicI64>) -> JoinSet<()> {
    let mut publishers = JoinSet::new();
    for _ in 0..4 {
        let acknowledged = acknowledged.clone();
        let url = format!("{}/api/projects/p/stages/prod", program.address);
        let request = program
            .http
            .put(url)
            .json(&json!({"spec": {"image": "app:2"}}));
        publishers.spawn(async move {
            while let Some(request) = request.try_clone()
                && let Ok(answer) = request.send().await
            {
                assert_eq!(answer.status(), 200);
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    publishers
}

async fn events(stream: &mut Sse, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    while events.len() < count {
        events.push(stream.event().await.expect("the stream goes on"));
    }
    events
}
