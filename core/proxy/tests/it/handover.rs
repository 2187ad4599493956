//! A new process takes the place of the running one.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tiny_forge_proxy::{Drained, Ended, ServeError, Start, serve};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::support::{
    address,
    app::App,
    browser::Browser,
    eventually, in_time,
    load::{Asks, Load},
    proxy::Proxy,
};

const TAKE_OVER: Start = Start::TakeOver {
    deadline: Duration::from_secs(60),
};

/// A process that has taken the place of `old`, though `old` may still have
/// connections.
async fn take_over(old: &Proxy) -> Proxy {
    let before = since(old).await;
    eventually("the clock goes on", async || now_ms() > before).await;
    let new = Proxy::launch(old.folder(), TAKE_OVER);
    eventually("the new one answers", async || since(&new).await > before).await;
    new
}

/// When the process that answers began to lead to the first route's app.
async fn since(proxy: &Proxy) -> u64 {
    let routes = proxy
        .client
        .routes()
        .await
        .expect("always somebody answers");
    routes[0].upstreams[0].since_unix_ms
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.expect("after 1970").as_millis()).expect("in this age")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handover_under_full_load_fails_no_request_and_refuses_no_connection() {
    let mut proxy = Proxy::start().await;
    let listen = address();
    let mut app = App::start(0).await;
    proxy.put(listen, app.address, 0).await;
    let browsers = Load::start(20, Asks::Pages, listen);
    let uploads = Load::start(3, Asks::Uploads, listen);
    let newcomers = Load::start(2, Asks::Anew, listen);

    for version in 1..=5 {
        let new = Proxy::launch(proxy.folder(), TAKE_OVER);
        assert_eq!(proxy.ended().await, Ended::HandedOver);
        proxy = new;
        // The clients of the old process are with the new one, and are led on by it.
        let next = App::start(version).await;
        proxy.put(listen, next.address, version as u64).await;
        for load in [&browsers, &uploads, &newcomers] {
            load.switched_to(version);
        }
        proxy.drain(listen, app.address).await;
        let before = next.served();
        eventually("the new app is busy", async || next.served() > before + 100).await;
        app.stop().await;
        app = next;
    }

    for load in [browsers, uploads, newcomers] {
        assert!(load.stop().await > 0);
    }
}

#[tokio::test]
async fn idle_clients_go_along_and_the_others_end_with_the_old_process() {
    let old = Proxy::start().await;
    let listen = address();
    let app = App::start(1).await;
    old.put(listen, app.address, 1).await;
    let mut idle = Browser::connect(listen).await;
    idle.get("/").await.expect("an answer");
    let mut silent = Browser::connect(listen).await;
    let mut busy = Browser::connect(listen).await;
    busy.ask("/slow").await.expect("a request");
    let mut socket = Browser::connect(listen).await;
    socket.upgrade().await.expect("an upgrade");
    eventually("all are there", async || app.served() == 3).await;

    let new = Proxy::launch(old.folder(), TAKE_OVER);
    // The old one has no upstream for whom it has parked.
    eventually("the new one answers", async || {
        let routes = new.client.routes().await.expect("always somebody answers");
        routes[0].parked == 1
    })
    .await;
    assert_eq!(idle.get("/").await.expect("an answer").version, 1);
    assert_eq!(silent.get("/").await.expect("an answer").version, 1);
    socket.echo("still here").await.expect("an echo");
    app.release();
    assert_eq!(busy.answer().await.expect("an answer").version, 1);
    assert_eq!(busy.get("/").await.expect("an answer").version, 1);
    drop(socket);

    assert_eq!(old.ended().await, Ended::HandedOver);
    eventually("three are left", async || {
        new.upstream(listen, app.address).await.open == 3
    })
    .await;
}

#[tokio::test]
async fn what_does_not_end_by_the_deadline_is_cut() {
    let old = Proxy::start().await;
    let listen = address();
    let app = App::start(1).await;
    old.put(listen, app.address, 1).await;
    let mut socket = Browser::connect(listen).await;
    socket.upgrade().await.expect("an upgrade");

    let deadline = Duration::from_millis(200);
    let _new = Proxy::launch(old.folder(), Start::TakeOver { deadline });

    assert_eq!(old.ended().await, Ended::HandedOver);
    let cut = in_time("it is cut", socket.echo("anybody there?")).await;
    cut.expect_err("nobody is");
}

#[tokio::test]
async fn a_new_process_that_fails_leaves_the_old_one_as_it_was() {
    let old = Proxy::start().await;
    let listen = address();
    let app = App::start(1).await;
    old.put(listen, app.address, 1).await;
    let file = old.path().join("routes.json");
    let routes = fs::read(&file).expect("a file");
    fs::write(&file, "nonsense").expect("written");

    let taking = serve(old.path(), TAKE_OVER, std::future::pending());
    let error = in_time("it fails", taking).await.expect_err("it fails");

    assert!(matches!(error, ServeError::RouteFile(_)), "{error}");
    fs::write(&file, routes).expect("written");
    Browser::connect(listen)
        .await
        .get("/")
        .await
        .expect("an answer");
    let next = App::start(2).await;
    old.put(listen, next.address, 2).await;
    let new = Proxy::launch(old.folder(), TAKE_OVER);
    assert_eq!(old.ended().await, Ended::HandedOver);
    let mut browser = Browser::connect(listen).await;
    assert_eq!(browser.get("/").await.expect("an answer").version, 2);
    new.client.hello().await.expect("it answers");
}

#[tokio::test]
async fn where_nobody_runs_there_is_nothing_to_take_over() {
    let dir = Proxy::start().await.kill().await;
    let proxy = Proxy::launch(&dir, TAKE_OVER);
    eventually("it answers", async || proxy.client.hello().await.is_ok()).await;
}

#[tokio::test]
async fn after_a_handover_the_folder_belongs_to_the_new_process() {
    let old = Proxy::start().await;
    let listen = address();
    old.put(listen, address(), 1).await;
    let new = Proxy::launch(old.folder(), TAKE_OVER);
    assert_eq!(old.ended().await, Ended::HandedOver);

    serve(new.path(), Start::Alone, std::future::pending())
        .await
        .expect_err("it is occupied");
    let dir = new.kill().await;
    TcpStream::connect(listen)
        .await
        .expect_err("nobody listens");
    let proxy = Proxy::start_in(&dir).await;
    let mut stream = TcpStream::connect(listen).await.expect("a connection");
    drop(proxy);
    let mut nothing = Vec::new();
    // Its end is all that is to be seen.
    let _ = in_time("it ends", stream.read_to_end(&mut nothing)).await;
    assert_eq!(nothing, b"");
}

#[tokio::test]
async fn a_drain_waits_for_connections_that_the_process_before_still_has() {
    let before = Proxy::start().await;
    let listen = address();
    let (old, new) = (App::start(1).await, App::start(2).await);
    before.put(listen, old.address, 1).await;
    let mut socket = Browser::connect(listen).await;
    socket.upgrade().await.expect("an upgrade");
    let mut other = Browser::connect(listen).await;
    other.upgrade().await.expect("an upgrade");
    let proxy = take_over(&before).await;
    proxy.put(listen, new.address, 2).await;

    let mut seen = Vec::new();
    let deadline = Duration::from_millis(700);
    let drain = proxy
        .client
        .drain(listen, old.address, deadline, |open| seen.push(open));
    let drained = drain.await.expect("drained");

    assert_eq!(drained, Drained { cut: 2 });
    assert_eq!(seen[0], 2);
    for mut socket in [socket, other] {
        let cut = in_time("it is cut", socket.echo("anybody there?")).await;
        cut.expect_err("nobody is");
    }
    assert_eq!(before.ended().await, Ended::HandedOver);
}

#[tokio::test]
async fn two_upgrades_in_a_row_lose_nobody() {
    let first = Proxy::start().await;
    let listen = address();
    let (old, new) = (App::start(1).await, App::start(2).await);
    first.put(listen, old.address, 1).await;
    let mut busy = Browser::connect(listen).await;
    busy.ask("/slow").await.expect("a request");
    let mut socket = Browser::connect(listen).await;
    socket.upgrade().await.expect("an upgrade");
    eventually("both are there", async || old.served() == 2).await;
    let second = take_over(&first).await;
    let third = take_over(&second).await;
    third.put(listen, new.address, 2).await;
    assert_eq!(third.upstream(listen, old.address).await.open, 2);

    old.release();
    assert_eq!(busy.answer().await.expect("an answer").version, 1);
    assert_eq!(busy.get("/").await.expect("an answer").version, 2);
    eventually("only the socket is left", async || {
        third.upstream(listen, old.address).await.open == 1
    })
    .await;
    let deadline = Duration::from_millis(500);
    let drained = third
        .client
        .drain(listen, old.address, deadline, |_| {})
        .await;

    assert_eq!(drained.expect("drained"), Drained { cut: 1 });
    assert_eq!(first.ended().await, Ended::HandedOver);
    assert_eq!(second.ended().await, Ended::HandedOver);
}

#[tokio::test]
async fn the_new_process_stops_without_waiting_for_the_old_one() {
    let old = Proxy::start().await;
    let listen = address();
    let app = App::start(1).await;
    old.put(listen, app.address, 1).await;
    let mut socket = Browser::connect(listen).await;
    socket.upgrade().await.expect("an upgrade");
    let new = take_over(&old).await;

    assert_eq!(new.shut_down().await, Ended::Stopped);

    socket.echo("still here").await.expect("an echo");
    drop(socket);
    assert_eq!(old.ended().await, Ended::HandedOver);
}

#[tokio::test]
async fn an_old_process_that_is_shut_down_waits_for_nobody() {
    let old = Proxy::start().await;
    let listen = address();
    let app = App::start(1).await;
    old.put(listen, app.address, 1).await;
    let mut socket = Browser::connect(listen).await;
    socket.upgrade().await.expect("an upgrade");
    let _new = take_over(&old).await;

    assert_eq!(old.shut_down().await, Ended::HandedOver);

    let cut = in_time("it is cut", socket.echo("anybody there?")).await;
    cut.expect_err("nobody is");
}
