//! Backups, made while a server works and brought back.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::{binary::Binary, journal::Journal, program::Program};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Exit code and what was said on both channels.
async fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Binary::new().run(arguments).await;
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

async fn backup(data: &Path, to: &Path) {
    let (code, said) = run(&["backup", text(to), "--data", text(data)]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(text(&data.join("key"))), "{said}");
}

async fn restore(from: &Path, data: &Path) -> String {
    let (code, said) = run(&["restore", text(from), "--data", text(data)]).await;
    assert_eq!(code, Some(0), "{said}");
    said
}

/// The events that a restored server has, after it has told that it is one and
/// has sent away whoever remembers `seen`.
async fn restored(data: &Path, seen: &str) -> Vec<Value> {
    let program = Program::serve(data).await;
    let mut stale = program.sse("/api/events", Some(seen)).await;
    assert_eq!(stale.hello["resumed"], false);
    let reset = stale.frame().await.expect("a frame");
    assert!(reset.data.contains("foreign_journal"), "{}", reset.data);
    let mut events = Vec::new();
    let mut all = program.sse("/api/events?after=0", None).await;
    all.until(|event| {
        events.push(event.clone());
        event["payload"]["what"] == "started" && *event != events[0]
    })
    .await;
    assert!(
        events
            .iter()
            .any(|event| event["payload"]["what"] == "restored")
    );
    program.end(Signal::TERM).await;
    events
}

fn projects(events: &[Value]) -> BTreeSet<String> {
    let names = events.iter().map(|event| &event["payload"]["project"]);
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// Clients that make projects until the server is gone, and write down those
/// that it has acknowledged.
fn publish(program: &Program, acknowledged: &Arc<Mutex<BTreeSet<String>>>) -> JoinSet<()> {
    let mut publishers = JoinSet::new();
    for client in 0..2 {
        let acknowledged = acknowledged.clone();
        let url = format!("{}/api/projects", program.address);
        let http = program.http.clone();
        publishers.spawn(async move {
            for number in 0.. {
                let name = format!("p{client}-{number}");
                let body = serde_json::json!({"name": name, "spec": {"image": "app:1"}});
                let Ok(answer) = http.post(&url).json(&body).send().await else {
                    return;
                };
                assert_eq!(answer.status(), 201);
                acknowledged.lock().expect("no panic").insert(name);
            }
        });
    }
    publishers
}

#[tokio::test]
async fn a_backup_taken_amid_writes_has_all_that_was_acknowledged_before_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (data, file) = (dir.path().join("data"), dir.path().join("backup.db"));
    let program = Program::serve(&data).await;
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let mut publishers = publish(&program, &acknowledged);
    let mut stream = program.sse("/api/events?after=0", None).await;
    while acknowledged.lock().expect("no panic").len() < 50 {
        stream.event().await.expect("the stream goes on");
    }
    let before = acknowledged.lock().expect("no panic").clone();
    backup(&data, &file).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(&file).expect("a file").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let during = acknowledged.lock().expect("no panic").len();
    while acknowledged.lock().expect("no panic").len() <= during {
        stream.event().await.expect("writes go on");
    }
    program.end(Signal::KILL).await;
    while publishers.join_next().await.is_some() {}
    while stream.event().await.is_some() {}

    // On another machine, and over what is there.
    let elsewhere = dir.path().join("elsewhere");
    restore(&file, &elsewhere).await;
    let events = restored(&elsewhere, &stream.last_id).await;
    assert!(before.is_subset(&projects(&events)));

    let said = restore(&file, &data).await;
    assert!(said.contains("tiny-forge.db.before-restore-"), "{said}");
    let events = restored(&data, &stream.last_id).await;
    assert!(before.is_subset(&projects(&events)));
    let seen = stream.last_id.rsplit('-').next().expect("an id");
    let told = events
        .iter()
        .find(|event| event["payload"]["what"] == "restored");
    let told = told.expect("it is told")["id"].as_i64();
    assert!(told > seen.parse().ok(), "ids only grow: {told:?}, {seen}");
    restore(&aside(&data), &elsewhere).await;
    let all = projects(&restored(&elsewhere, &stream.last_id).await);
    let acknowledged = acknowledged.lock().expect("no panic");
    assert!(
        acknowledged.is_subset(&all),
        "what was moved aside is whole"
    );
}

fn aside(data: &Path) -> PathBuf {
    let files = fs::read_dir(data).expect("the directory");
    let mut files = files.map(|file| file.expect("a file").path());
    files
        .find(|file| text(file).contains("before-restore"))
        .expect("it is kept")
}

#[tokio::test]
async fn a_backup_needs_no_server_and_overwrites_nothing() {
    let dir = Journal::new().close();
    let file = dir.path().join("backup.db");
    let before = fs::read(dir.path().join("tiny-forge.db")).expect("readable");
    backup(dir.path(), &file).await;
    let after = fs::read(dir.path().join("tiny-forge.db")).expect("readable");
    assert!(before == after, "the database is as it was");
    assert!(!names(dir.path()).contains("backup.db.partial"));

    let arguments = ["backup", text(&file), "--data", text(dir.path())];
    let (code, said) = run(&arguments).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("backup.db` exists: choose"), "{said}");
    let (none, other) = (dir.path().join("none"), dir.path().join("other.db"));
    let (code, said) = run(&["backup", text(&other), "--data", text(&none)]).await;
    assert_eq!(code, Some(1));
    assert!(
        said.contains("no database") && said.contains("--data"),
        "{said}"
    );
    assert!(!other.exists());
}

fn names(dir: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(dir).expect("the directory");
    files
        .map(|file| text(file.expect("a file").file_name().as_ref()).to_owned())
        .collect()
}

#[tokio::test]
async fn what_cannot_be_restored_is_refused_by_its_reason_and_changes_nothing() {
    let dir = Journal::new().close();
    let file = |name: &str| dir.path().join(name);
    let good = file("good.db");
    backup(dir.path(), &good).await;
    let changed = |name: &str, sql: &str| {
        fs::copy(&good, file(name)).expect("copied");
        let database = Connection::open(file(name)).expect("a database");
        database.execute_batch(sql).expect("changed");
    };
    fs::write(file("text"), "no database").expect("written");
    changed("foreign.db", "DROP TABLE meta");
    changed("newer.db", "PRAGMA user_version = 999");
    changed("live.db", "");
    fs::write(file("live.db-wal"), "the newest part").expect("written");
    fs::copy(&good, file("damaged.db")).expect("copied");
    let damaged = fs::File::options().write(true).open(file("damaged.db"));
    std::os::unix::fs::FileExt::write_all_at(&damaged.expect("a file"), &[0xAA; 8_192], 8_192)
        .expect("overwritten");
    let data = file("data");
    restore(&good, &data).await;
    let before = names(&data);
    for (name, reason) in [
        ("text", "no backup of tiny-forge"),
        ("foreign.db", "no backup of tiny-forge"),
        ("newer.db", "newer tiny-forge (schema 999"),
        ("live.db", "make a backup with `tiny-forge backup`"),
        ("damaged.db", "damaged"),
        ("nothing", "No such file"),
    ] {
        let (code, said) = run(&["restore", text(&file(name)), "--data", text(&data)]).await;
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(
            said.contains(reason) && said.contains(name),
            "{name}: {said}"
        );
        assert_eq!(names(&data), before, "{name}");
    }
    let program = Program::serve(&data).await;
    let (code, said) = run(&["restore", text(&good), "--data", text(&data)]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("in use by another tiny-forge"), "{said}");
    program.end(Signal::TERM).await;
}
