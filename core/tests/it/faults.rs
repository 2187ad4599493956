//! What a machine does to a server.

use std::{fs, io::Write, path::PathBuf, process::Command};

use serde_json::json;

use crate::support::server::Server;

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
