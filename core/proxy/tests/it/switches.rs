//! Deploys under load: the route turns, the old app is drained and stopped.

use std::time::Duration;

use tiny_forge_proxy::{Drained, Reason};
use tokio::sync::watch;

use crate::support::{
    address,
    app::App,
    browser::{Answer, Browser},
    eventually, in_time,
    load::{Asks, Load},
    proxy::Proxy,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_deploys_under_full_load_fail_no_request() {
    const SWITCHES: usize = 20;
    let proxy = Proxy::start().await;
    let listen = address();
    let mut old = App::start(0).await;
    proxy.put(listen, old.address, 0).await;
    let browsers = Load::start(50, Asks::Pages, listen);
    let uploads = Load::start(6, Asks::Uploads, listen);

    for version in 1..=SWITCHES {
        let new = App::start(version).await;
        let mut socket = Browser::connect(listen).await;
        socket.upgrade().await.expect("an upgrade");
        proxy.put(listen, new.address, version as u64).await;
        browsers.switched_to(version);
        uploads.switched_to(version);
        // What is open stays with the old app, and works, until it ends by itself.
        socket.echo("still here").await.expect("an echo");
        assert!(!proxy.upstream(listen, old.address).await.is_current);
        eventually("only the socket is left", async || {
            proxy.upstream(listen, old.address).await.open == 1
        })
        .await;
        socket.echo("even now").await.expect("an echo");
        drop(socket);
        proxy.drain(listen, old.address).await;
        let before = new.served();
        eventually("the new app is busy", async || new.served() > before + 100).await;
        old.stop().await;
        old = new;
    }

    let uploaded = uploads.stop().await;
    let answered = browsers.stop().await + uploaded;
    assert!(answered > 20 * 100, "{answered}");
}

#[tokio::test]
async fn a_request_under_way_ends_where_it_began_and_the_next_one_goes_to_the_new_app() {
    let proxy = Proxy::start().await;
    let listen = address();
    let (old, new) = (App::start(1).await, App::start(2).await);
    proxy.put(listen, old.address, 1).await;
    let mut browser = Browser::connect(listen).await;
    browser.ask("/slow").await.expect("a request");
    eventually("it is under way", async || old.served() == 1).await;

    proxy.put(listen, new.address, 2).await;
    // The second one is sent ahead, to be answered by whoever is right.
    browser.ask("/").await.expect("a request");
    assert_eq!(proxy.upstream(listen, old.address).await.open, 1);
    old.release();

    assert_eq!(browser.answer().await.expect("an answer").version, 1);
    assert_eq!(browser.answer().await.expect("an answer").version, 2);
    proxy.drain(listen, old.address).await;
}

#[tokio::test]
async fn an_upload_under_way_goes_to_the_old_app_to_its_last_byte() {
    let proxy = Proxy::start().await;
    let listen = address();
    let (old, new) = (App::start(1).await, App::start(2).await);
    proxy.put(listen, old.address, 1).await;
    let mut browser = Browser::connect(listen).await;
    let head = "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 8\r\n\r\nhalf";
    browser.send(head.as_bytes()).await.expect("sent");
    eventually("it is under way", async || old.served() == 1).await;

    proxy.put(listen, new.address, 2).await;
    browser.send(b"half").await.expect("sent");

    let answer = browser.answer().await.expect("an answer");
    assert_eq!(
        answer,
        Answer {
            version: 1,
            length: 8
        }
    );
    proxy.drain(listen, old.address).await;
    assert_eq!(browser.get("/").await.expect("an answer").version, 2);
}

#[tokio::test]
async fn idle_connections_hold_up_no_drain_and_notice_nothing() {
    let proxy = Proxy::start().await;
    let listen = address();
    let (old, new) = (App::start(1).await, App::start(2).await);
    proxy.put(listen, old.address, 1).await;
    let mut browsers = Vec::new();
    for _ in 0..20 {
        let mut browser = Browser::connect(listen).await;
        browser.get("/").await.expect("an answer");
        browsers.push(browser);
    }
    eventually("they are idle", async || {
        proxy.upstream(listen, old.address).await.idle == 20
    })
    .await;

    proxy.put(listen, new.address, 2).await;
    proxy.drain(listen, old.address).await;
    old.stop().await;

    let parked = proxy.client.routes().await.expect("routes")[0].parked;
    assert_eq!(parked, 20);
    for browser in &mut browsers {
        assert_eq!(browser.get("/").await.expect("an answer").version, 2);
    }
    assert_eq!(proxy.upstream(listen, new.address).await.open, 20);
}

#[tokio::test]
async fn an_opaque_connection_is_cut_at_the_deadline_and_counted() {
    let proxy = Proxy::start().await;
    let listen = address();
    let (old, new) = (App::start(1).await, App::start(2).await);
    proxy.put(listen, old.address, 1).await;
    let mut sockets = [
        Browser::connect(listen).await,
        Browser::connect(listen).await,
    ];
    for socket in &mut sockets {
        socket.upgrade().await.expect("an upgrade");
    }

    proxy.put(listen, new.address, 2).await;
    let mut seen = Vec::new();
    let deadline = Duration::from_millis(700);
    let drained = proxy
        .client
        .drain(listen, old.address, deadline, |open| seen.push(open))
        .await;

    assert_eq!(drained.expect("drained"), Drained { cut: 2 });
    assert!(
        !seen.is_empty() && seen.iter().all(|open| *open == 2),
        "{seen:?}"
    );
    for socket in &mut sockets {
        let cut = in_time("it is cut", socket.echo("anybody there?")).await;
        assert!(cut.is_err(), "not a proper end either");
    }
}

#[tokio::test]
async fn what_the_route_leads_to_cannot_be_drained_and_what_nobody_uses_is_drained() {
    let proxy = Proxy::start().await;
    let listen = address();
    let app = App::start(1).await;
    proxy.put(listen, app.address, 1).await;

    let deadline = Duration::from_secs(1);
    let refused = proxy
        .client
        .drain(listen, app.address, deadline, |_| {})
        .await;
    let error = refused.expect_err("it is in use");
    assert!(
        matches!(&error, tiny_forge_proxy::ClientError::Refused(it) if it.reason == Reason::InUse),
        "{error}"
    );
    proxy.drain(listen, address()).await;
}

#[tokio::test]
async fn a_switch_back_lets_nobody_be_cut() {
    let proxy = Proxy::start().await;
    let listen = address();
    let (old, new) = (App::start(1).await, App::start(2).await);
    proxy.put(listen, old.address, 1).await;
    let mut socket = Browser::connect(listen).await;
    socket.upgrade().await.expect("an upgrade");
    proxy.put(listen, new.address, 2).await;

    let (told, is_draining) = watch::channel(false);
    let drain = proxy
        .client
        .drain(listen, old.address, Duration::from_secs(60), |_| {
            told.send_replace(true);
        });
    let back = async {
        is_draining
            .clone()
            .wait_for(|it| *it)
            .await
            .expect("progress");
        proxy.put(listen, old.address, 1).await;
    };
    let (drained, ()) = tokio::join!(drain, back);

    assert!(drained.is_err(), "the route leads there again");
    socket.echo("still here").await.expect("an echo");
}

#[tokio::test]
async fn the_same_route_again_changes_nothing() {
    let proxy = Proxy::start().await;
    let listen = address();
    let app = App::start(1).await;
    proxy.put(listen, app.address, 1).await;
    let before = proxy.client.routes().await.expect("routes");
    let file = proxy.path().join("routes.json");
    let written = file.metadata().expect("a file").modified().expect("a time");

    proxy.put(listen, app.address, 1).await;

    assert_eq!(proxy.client.routes().await.expect("routes"), before);
    assert_eq!(
        file.metadata().expect("a file").modified().expect("a time"),
        written
    );
}

#[tokio::test]
async fn a_route_that_is_removed_frees_its_port_and_lets_requests_end() {
    let proxy = Proxy::start().await;
    let listen = address();
    let app = App::start(1).await;
    proxy.put(listen, app.address, 1).await;
    let mut busy = Browser::connect(listen).await;
    busy.ask("/slow").await.expect("a request");
    let mut idle = Browser::connect(listen).await;
    idle.get("/").await.expect("an answer");
    eventually("it is under way", async || app.served() == 2).await;

    proxy.client.remove(listen).await.expect("removed");

    std::net::TcpListener::bind(listen).expect("the port is free");
    assert_eq!(in_time("it ends", idle.rest()).await.expect("the end"), b"");
    app.release();
    assert_eq!(busy.answer().await.expect("an answer").version, 1);
    proxy.drain(listen, app.address).await;
    assert_eq!(proxy.client.routes().await.expect("routes"), []);
    proxy
        .client
        .remove(listen)
        .await
        .expect("once more is no error");
}
