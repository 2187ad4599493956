//! What a machine does to a server.

use std::{fs, io::Write, path::PathBuf, process::Command};

use rustix::process::Signal;
use serde_json::json;
use tiny_forge::{
    events::{Filter, Start},
    model::EventId,
    store::StoreError,
};

use crate::support::{
    journal::{Journal, take},
    note::note,
    program::Program,
    server::Server,
};

/// A small disk, mounted; like the engine of other tests it needs root.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir_all(&at).expect("a directory");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(&at);
        assert!(mount.status().expect("mount").success());
        Self(at)
    }

    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).expect("a file");
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_answered_by_its_name_and_nothing_acknowledged_is_lost() {
    let mut disk = None;
    let server = Server::configured(|dir, _| disk = Some(SmallDisk::mount(dir.join("data")))).await;
    let disk = disk.expect("mounted");
    let mut made = Vec::new();
    let mut create = async |name: String| {
        let body = json!({"name": name, "spec": {"image": "app:1"}});
        let (status, answer) = server.post("/api/projects", &body).await;
        if status == 201 {
            made.push(name);
        }
        (status.as_u16(), answer)
    };
    assert_eq!(create("first".into()).await.0, 201);
    disk.fill();
    // What has been allocated before still takes some.
    let mut number = 0;
    let refused = loop {
        number += 1;
        let (status, answer) = create(format!("p{number}")).await;
        if status != 201 {
            break answer;
        }
    };
    assert_eq!(refused["status"], 503, "{refused}");
    assert!(refused["detail"].to_string().contains("disk"), "{refused}");
    assert_eq!(create("still-full".into()).await.0, 503);
    assert_eq!(
        server
            .get("/healthz")
            .send()
            .await
            .expect("an answer")
            .status(),
        200
    );

    disk.free();
    assert_eq!(create("last".into()).await.0, 201, "it recovers by itself");
    let mut listed = Vec::new();
    for project in server.json("/api/projects").await["items"]
        .as_array()
        .expect("items")
    {
        listed.push(project["name"].as_str().expect("a name").to_owned());
    }
    made.sort();
    assert_eq!(listed, made);
    let events = server
        .json("/api/events?type=project_status&limit=500")
        .await;
    assert_eq!(events["items"].as_array().map(Vec::len), Some(made.len()));
    server.stop().await;
}

#[tokio::test]
async fn publishing_on_a_full_disk_is_refused_and_shows_nothing_that_is_not_stored() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let disk = SmallDisk::mount(dir.path().join("data"));
    let journal = Journal::at(tempfile::tempdir_in(&disk.0).expect("a directory"));
    let mut live = journal.bus.subscribe(Filter::default(), Start::Live);
    disk.fill();
    let mut published = 0;
    let error = loop {
        let receipt = journal.bus.publish(note(&"x".repeat(10_000)));
        match receipt
            .expect("there is room in the queue")
            .committed()
            .await
        {
            Ok(id) => published = id.0,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull), "{error}");
    let together = vec![note("a"), note(&"x".repeat(10_000)), note("b")];
    let error = journal.bus.publish_all(together).await;
    assert!(matches!(error, Err(StoreError::DiskFull)), "{error:?}");
    assert_eq!(journal.bus.head().id, EventId(published));

    disk.free();
    let receipt = journal.bus.publish(note("there is room"));
    let id = receipt
        .expect("room")
        .committed()
        .await
        .expect("it goes on");
    assert_eq!(id, EventId(published + 1), "no hole");
    let expected: Vec<i64> = (1..=published + 1).collect();
    assert_eq!(take(&mut live, expected.len()).await, expected);
    drop(live);
    let journal = journal.reopen();
    let all = Start::After(EventId(0));
    let mut all = journal.bus.subscribe(Filter::default(), all);
    assert_eq!(take(&mut all, expected.len()).await, expected);
}

#[tokio::test]
async fn a_kill_while_the_disk_is_full_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let disk = SmallDisk::mount(dir.path().join("data"));
    let program = Program::serve(&disk.0).await;
    program.create_project("first").await;
    disk.fill();
    let mut made = vec!["first".to_owned()];
    for number in 0.. {
        let name = format!("p{number}");
        let body = json!({"name": name, "spec": {"image": "app:1"}});
        let url = format!("{}/api/projects", program.address);
        let answer = program.http.post(url).json(&body).send().await;
        match answer.expect("an answer").status().as_u16() {
            201 => made.push(name),
            status => {
                assert_eq!(status, 503);
                break;
            }
        }
    }
    let status = program.json("/api/status").await;
    program.end(Signal::KILL).await;

    disk.free();
    let program = Program::serve(&disk.0).await;
    assert_eq!(
        program.json("/api/status").await["journal"]["name"],
        status["journal"]["name"]
    );
    let items = program.json("/api/projects").await["items"].clone();
    let listed = items.as_array().expect("items").iter();
    let listed: Vec<&str> = listed.filter_map(|item| item["name"].as_str()).collect();
    made.sort();
    assert_eq!(listed, made);
    program.create_project("last").await;
    program.end(Signal::TERM).await;
}
