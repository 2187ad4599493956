//! The data plane as a process of its own: killed, replaced, stopped.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{Router, routing::get};
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{process::Child, task::JoinSet};

use crate::support::{binary::Binary, registry::free_port, wait};

/// An app that answers with its name.
struct App {
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl App {
    fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("an address");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let routes = Router::new().route("/", get(move || async move { name }));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.expect("served") });
        Self {
            address,
            _server: server,
        }
    }
}

async fn proxy(data: &Path, arguments: &[&str]) -> Output {
    let data = data.to_str().expect("UTF-8");
    let arguments = [&["proxy"], arguments, &["--data", data]].concat();
    Binary::new().run(&arguments).await
}

/// It runs as soon as it answers, with this process id.
async fn start(data: &Path, arguments: &[&str]) -> Child {
    let folder = data.to_str().expect("UTF-8");
    let arguments = [&["proxy", "run"], arguments, &["--data", folder]].concat();
    let child = Binary::new().spawn(&arguments);
    let id = child.id().expect("it runs");
    let answers = wait::answer(async || {
        let status = proxy(data, &["status"]).await;
        let said = text(&status.stdout);
        said.contains(&format!("process {id}\n")).then_some(())
    });
    answers.await.expect("it answers in time");
    child
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn asked(http: &Client, port: u16) -> reqwest::Result<String> {
    let answer = http.get(format!("http://127.0.0.1:{port}/")).send().await?;
    answer.text().await
}

#[tokio::test]
async fn what_is_held_outlives_a_kill_and_an_upgrade_and_is_given_up_only_by_force() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = dir.path();
    let (one, two) = (App::start("one"), App::start("two"));
    let http = Client::builder().no_proxy().build().expect("a client");
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");

    let mut first = start(data, &[]).await;
    let led = proxy(data, &["route", &listen, &one.address.to_string()]).await;
    assert!(led.status.success(), "{}", text(&led.stderr));
    assert_eq!(asked(&http, port).await.expect("an answer"), "one");

    let id = Pid::from_raw(first.id().expect("it runs").cast_signed()).expect("an id");
    kill_process(id, Signal::KILL).expect("it is ours");
    first.wait().await.expect("our child");
    let mut second = start(data, &[]).await;
    assert_eq!(asked(&http, port).await.expect("an answer"), "one");

    // Asked all the while, over connections that are kept.
    let (done, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (done, count, http) = (done.clone(), count.clone(), http.clone());
        clients.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                asked(&http, port).await.expect("no request fails");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut third = start(data, &["--take-over"]).await;
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), second.wait()).await;
    assert!(ended.expect("it leaves").expect("our child").success());
    let led = proxy(data, &["route", &listen, &two.address.to_string()]).await;
    assert!(led.status.success(), "{}", text(&led.stderr));
    let drained = proxy(data, &["drain", &listen, &one.address.to_string()]).await;
    assert!(text(&drained.stdout).contains("nobody uses"), "{drained:?}");
    drop(one);
    let so_far = count.load(Ordering::Relaxed);
    let more = wait::answer(async || (count.load(Ordering::Relaxed) > so_far + 100).then_some(()));
    more.await.expect("requests go on");
    done.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.expect("no request failed");
    }
    assert_eq!(asked(&http, port).await.expect("an answer"), "two");

    let refused = proxy(data, &["stop"]).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert_eq!(said.matches(&listen).count(), 1, "told once: {said}");
    assert!(proxy(data, &["stop", "--force"]).await.status.success());
    assert!(third.wait().await.expect("our child").success());
    let gone = proxy(data, &["status"]).await;
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
}
