//! What becomes of clients when the database has lost something.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::{journal::Journal, note::note, program::Program, server::Server, wait};

fn database(data: &Path) -> PathBuf {
    data.join("tiny-forge.db")
}

/// A program that has told of some events, the last position it told, and the
/// number of projects that it made.
async fn lived(data: &Path) -> (Program, String) {
    let program = Program::serve(data).await;
    let mut stream = program.sse("/api/events?after=0", None).await;
    for name in ["one", "two", "three"] {
        program.create_project(name).await;
        stream
            .until(|event| event["payload"]["project"] == name)
            .await;
    }
    (program, stream.last_id)
}

/// Sees to it that what comes after stays in the log alone.
fn hold_back_checkpoints(data: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(database(data), flags).expect("a database");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM meta")
        .expect("a read transaction");
    reader
}

/// Cuts a file off where `text` is for the last time: what comes after may be
/// left over from before, since the log is written anew from its beginning.
fn tear_within(file: &Path, text: &[u8]) {
    let bytes = fs::read(file).expect("the log");
    let mut places = bytes.windows(text.len());
    let place = places
        .rposition(|place| place == text)
        .expect("it is there");
    fs::write(file, &bytes[..place]).expect("torn");
}

fn id_of(position: &str) -> i64 {
    let id = position.rsplit('-').next();
    id.and_then(|id| id.parse().ok()).expect("a position")
}

/// The server says that history was lost, with an id that nobody has seen, and
/// sends away whoever remembers the old one.
async fn begins_another_history(data: &Path, seen: &str) -> Value {
    let program = Program::serve(data).await;
    let mut stale = program.sse("/api/events", Some(seen)).await;
    assert_eq!(stale.hello["resumed"], false);
    let reset = stale.frame().await.expect("a frame");
    assert_eq!(reset.event, "reset");
    assert!(reset.data.contains("foreign_journal"), "{}", reset.data);

    let mut all = program.sse("/api/events?after=0", None).await;
    let lost = all
        .until(|event| event["payload"]["what"] == "history_lost")
        .await;
    assert!(lost["id"].as_i64() > Some(id_of(seen)), "{lost}");
    let message = lost["payload"]["message"].as_str().expect("a message");
    assert!(message.contains("is lost"), "{message}");
    let page = program.json("/api/events?type=project_status").await;
    program.end(Signal::TERM).await;
    page["items"].clone()
}

#[tokio::test]
async fn a_torn_end_of_the_log_costs_what_was_in_it_and_begins_another_history() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = dir.path();
    let (program, _) = lived(data).await;
    let held = hold_back_checkpoints(data);
    program.create_project("torn").await;
    let mut stream = program.sse("/api/events?after=0", None).await;
    stream
        .until(|event| event["payload"]["project"] == "torn")
        .await;
    program.end(Signal::KILL).await;
    drop(held);
    tear_within(&data.join("tiny-forge.db-wal"), b"torn");

    let left = begins_another_history(data, &stream.last_id).await;
    assert_eq!(left.as_array().map(Vec::len), Some(3), "{left}");
}

#[tokio::test]
async fn a_killed_server_with_its_log_intact_goes_on_with_the_same_journal() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = dir.path();
    let (program, last_id) = lived(data).await;
    let held = hold_back_checkpoints(data);
    program.create_project("four").await;
    program.end(Signal::KILL).await;
    drop(held);
    let program = Program::serve(data).await;
    let mut stream = program.sse("/api/events", Some(&last_id)).await;
    assert_eq!(stream.hello["resumed"], true);
    let next = stream.event().await.expect("an event");
    assert_eq!(next["payload"]["project"], "four");
    assert_eq!(next["id"].as_i64(), Some(id_of(&last_id) + 1));
    program.end(Signal::KILL).await;
}

#[tokio::test]
async fn an_older_database_in_its_place_or_none_at_all_begins_another_history() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = dir.path();
    Program::serve(data).await.end(Signal::TERM).await;
    let older = dir.path().join("older.db");
    fs::copy(database(data), &older).expect("copied");

    let (program, seen) = lived(data).await;
    program.end(Signal::TERM).await;
    fs::copy(&older, database(data)).expect("put back");
    let left = begins_another_history(data, &seen).await;
    assert_eq!(left.as_array().map(Vec::len), Some(0), "{left}");

    let (program, seen) = lived(data).await;
    program.end(Signal::TERM).await;
    fs::remove_file(database(data)).expect("deleted");
    begins_another_history(data, &seen).await;
}

/// Some thousand events, and one page of them overwritten.
async fn damaged() -> tempfile::TempDir {
    let journal = Journal::new();
    for _ in 0..5 {
        let events = (0..1_000).map(|_| note(&"x".repeat(100))).collect();
        journal.bus.publish_all(events).await.expect("published");
    }
    let dir = journal.close();
    let database = database(dir.path());
    let page: u64 = Connection::open(&database)
        .and_then(|sql| {
            sql.query_row(
                "SELECT pageno FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' LIMIT 1",
                [],
                |row| row.get(0),
            )
        })
        .expect("a page");
    let file = fs::File::options().write(true).open(&database);
    let offset = (page - 1) * 8_192;
    std::os::unix::fs::FileExt::write_all_at(&file.expect("the file"), &[0xAA; 8_192], offset)
        .expect("overwritten");
    dir
}

#[tokio::test]
async fn damage_is_found_after_a_crash_and_told_until_it_is_repaired() {
    let damaged = damaged().await;
    let server = Server::configured(|dir, _| {
        let data = dir.join("data");
        fs::create_dir(&data).expect("a directory");
        fs::copy(database(damaged.path()), database(&data)).expect("copied");
        // What a server leaves behind that did not end in order.
        fs::write(data.join("tiny-forge.db-wal"), "torn").expect("written");
    })
    .await;
    let server = told_of_damage(server).await.restart().await;
    told_of_damage(server).await.stop().await;
}

async fn told_of_damage(server: Server) -> Server {
    let mut stream = server.sse("/api/events?type=system").await;
    let status = server.json("/api/status").await;
    if status["journal"]["damage"].is_null() {
        let event = stream
            .until(|event| event["payload"]["what"] == "journal_damaged")
            .await;
        assert_eq!(event["severity"], "critical");
        let message = event["payload"]["message"].to_string();
        assert!(message.contains("tiny-forge restore"), "{message}");
    }
    let status = server.json("/api/status").await;
    assert!(status["journal"]["damage"].is_string(), "{status}");
    server
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_by_its_number() {
    let dir = Journal::new().close();
    let database = database(dir.path());
    Connection::open(&database)
        .and_then(|sql| sql.pragma_update(None, "user_version", 999))
        .expect("written");
    let data = dir.path().to_str().expect("UTF-8");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", data];
    let output = crate::support::binary::Binary::new().run(&serve).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("newer tiny-forge (schema 999") && said.contains("install that version"),
        "{said}"
    );
}

#[tokio::test]
async fn the_log_is_taken_into_the_database_while_the_server_runs() {
    let journal = Journal::new();
    let size = || fs::metadata(database(journal.dir.path())).map_or(0, |file| file.len());
    let before = size();
    journal.publish(1_000).await;
    let grown = wait::answer(async || (size() > before).then_some(())).await;
    grown.expect("a checkpoint in time");
    let dir = journal.close();
    let log = fs::metadata(dir.path().join("tiny-forge.db-wal"));
    assert!(
        log.map_or(0, |log| log.len()) == 0,
        "an orderly end leaves nothing in the log"
    );
}

#[tokio::test]
async fn the_log_begins_anew_while_commits_follow_each_other_closely() {
    /// The 64 MiB after which it may, and what is committed until it comes to that.
    const LOG_BYTES_MAX: u64 = 100 << 20;
    let journal = Journal::new();
    let log = journal.dir.path().join("tiny-forge.db-wal");
    let mut publishers = JoinSet::new();
    // 150 MiB, and always somebody who waits for the next commit.
    for _ in 0..4 {
        let (bus, log) = (journal.bus.clone(), log.clone());
        publishers.spawn(async move {
            let (text, mut longest) = ("x".repeat(50 << 10), 0);
            for _ in 0..75 {
                let events = (0..10).map(|_| note(&text)).collect();
                bus.publish_all(events).await.expect("published");
                let file = fs::metadata(&log).expect("a log");
                longest = longest.max(file.len());
            }
            longest
        });
    }
    for longest in publishers.join_all().await {
        assert!(longest <= LOG_BYTES_MAX, "the log had {longest} bytes");
    }
    journal.close();
}
