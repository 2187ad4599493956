//! Databases of every schema that was released are opened, with all that is in
//! them. A schema that is followed by another one is kept in `schemas`, as
//! `sqlite3 tiny-forge.db .dump` prints it, after `PRAGMA user_version`.

use std::{collections::BTreeSet, fs, path::Path};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{journal::Journal, server::Server, sse::Sse};

fn numbers(folder: &str) -> BTreeSet<u32> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name());
    let number = |name: std::ffi::OsString| name.to_str()?.get(..4)?.parse().ok();
    names
        .map(|name| number(name).expect("a name that begins with a number"))
        .collect()
}

#[test]
fn every_schema_but_the_newest_is_kept_with_rows_in_every_table() {
    let mut expected = numbers("src/store/migrations");
    expected.pop_last();
    assert_eq!(numbers("tests/it/schemas"), expected);
    for number in expected {
        let database = Connection::open_in_memory().expect("a database");
        database.execute_batch(&dump(number)).expect("a dump");
        let mut tables = database
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .expect("tables");
        let tables = tables.query_map([], |row| row.get::<_, String>(0));
        for table in tables.expect("tables") {
            let table = table.expect("a name");
            let count = format!("SELECT count(*) FROM {table}");
            let rows: u64 = database
                .query_row(&count, [], |row| row.get(0))
                .expect("a number");
            assert!(rows > 0, "{number}: {table} is empty");
        }
    }
}

fn dump(number: u32) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schemas");
    fs::read_to_string(folder.join(format!("{number:04}.sql"))).expect("a dump")
}

async fn served(number: u32) -> Server {
    Server::configured(|dir, _| {
        let data = dir.join("data");
        fs::create_dir(&data).expect("a directory");
        let database = Connection::open(data.join("tiny-forge.db")).expect("a database");
        database.execute_batch(&dump(number)).expect("a dump");
    })
    .await
}

#[test]
fn a_database_of_an_older_schema_comes_to_the_same_schema_as_a_new_one() {
    let new = schema(Journal::new());
    assert!(new.len() > 20, "{new:?}");
    for number in numbers("tests/it/schemas") {
        let dir = tempfile::tempdir().expect("temporary directory");
        let database = Connection::open(dir.path().join("tiny-forge.db"));
        let database = database.expect("a database");
        database.execute_batch(&dump(number)).expect("a dump");
        drop(database);
        assert_eq!(schema(Journal::at(dir)), new, "from {number}");
    }
}

/// Type, name and text of all tables, indexes and so on.
fn schema(journal: Journal) -> BTreeSet<(String, String, String)> {
    let dir = journal.close();
    let database = Connection::open(dir.path().join("tiny-forge.db")).expect("a database");
    let mut schema = database
        .prepare("SELECT type, name, ifnull(sql, '') FROM sqlite_schema")
        .expect("a schema");
    let parts = schema.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let parts = parts.expect("a schema").map(|part| {
        let (kind, name, sql): (_, _, String) = part.expect("a part");
        let words: Vec<&str> = sql.split_whitespace().collect();
        (kind, name, words.join(" "))
    });
    parts.collect()
}

#[tokio::test]
async fn a_database_of_an_older_schema_is_shown_as_it_was_and_streams_resume() {
    for number in numbers("tests/it/schemas") {
        is_shown_as_it_was(number).await;
    }
}

async fn is_shown_as_it_was(number: u32) {
    let server = served(number).await;
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().expect("items").iter();
        items
            .map(|item| item["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let projects = server.json("/api/projects").await;
    assert_eq!(names(&projects), ["demo", "draft", "shop"]);
    let demo = server.json("/api/projects/demo").await;
    assert_eq!(demo["stages"][0]["generation"], 1);
    for (id, status) in [(1, "succeeded"), (2, "failed")] {
        let deploy = server.json(&format!("/api/deploys/{id}")).await;
        assert_eq!(deploy["status"], status);
        assert_eq!(
            deploy["steps"].as_array().map(Vec::len),
            Some(7),
            "{deploy}"
        );
        let url = server.url(&format!("/api/deploys/{id}/logs.txt"));
        let log = server.http.get(url).send().await.expect("an answer");
        let log = log.text().await.expect("text");
        assert!(log.contains("warming up, 1 of 8"), "{log}");
    }
    let deliveries = server.json("/api/deliveries").await;
    assert_eq!(deliveries["items"].as_array().map(Vec::len), Some(5));
    let annotated = server.json("/api/events?type=event_annotated").await;
    let of = &annotated["items"][0]["payload"]["event"];
    let event = server.json(&format!("/api/events/{of}")).await;
    assert!(event["annotations"]["team"].is_object(), "{event}");

    let journal = &server.json("/api/status").await["journal"];
    assert_eq!(journal["oldest"], 4, "what retention had removed");
    let position = format!("{}-80", journal["name"].as_str().expect("a name"));
    let mut stream = Sse::open(&server.http, &server.url("/api/events"), Some(&position)).await;
    assert_eq!(stream.hello["resumed"], true);
    assert_eq!(stream.event().await.expect("an event")["id"], 81);
    server.stop().await;
}
