//! The process, its folder, and what is said over the control socket.

use std::{fs, io, os::unix::fs::PermissionsExt, sync::Arc};

use tiny_forge_proxy::{
    Client, ClientError, Ended, HomeError, Mismatch, PROTOCOL, Reason, ServeError, Start, Stop,
    WireError, serve,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

use crate::support::{
    address,
    app::App,
    browser::Browser,
    eventually, in_time,
    proxy::{Proxy, route},
};

async fn refused_start(dir: &std::path::Path) -> ServeError {
    let started = serve(dir, Start::Alone, std::future::pending());
    in_time("it refuses", started)
        .await
        .expect_err("it does not start")
}

fn refusal(error: &ClientError) -> Reason {
    match error {
        ClientError::Refused(refusal) => refusal.reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn after_a_crash_everything_is_held_again() {
    let proxy = Proxy::start().await;
    let (one, two) = (address(), address());
    let (app, other) = (App::start(1).await, App::start(2).await);
    proxy.put(one, app.address, 1).await;
    proxy.put(two, app.address, 1).await;
    proxy.put(two, other.address, 2).await;
    let dir = proxy.kill().await;
    TcpStream::connect(one).await.expect_err("nobody listens");

    let proxy = Proxy::start_in(&dir).await;

    for (listen, version) in [(one, 1), (two, 2)] {
        let mut browser = Browser::connect(listen).await;
        assert_eq!(browser.get("/").await.expect("an answer").version, version);
    }
    let routes = proxy.client.routes().await.expect("routes");
    assert_eq!(routes[1].route, Some(route(two, other.address, 2)));
}

#[tokio::test]
async fn a_shut_down_lets_requests_end_and_keeps_the_routes() {
    let proxy = Proxy::start().await;
    let listen = address();
    let app = App::start(1).await;
    proxy.put(listen, app.address, 1).await;
    let mut browser = Browser::connect(listen).await;
    browser.ask("/slow").await.expect("a request");
    eventually("it is under way", async || app.served() == 1).await;

    let dir = proxy.folder().clone();
    let answered = async {
        eventually("nobody listens", async || {
            TcpStream::connect(listen).await.is_err()
        })
        .await;
        app.release();
        browser.answer().await.expect("an answer")
    };
    let (ended, answer) = tokio::join!(proxy.shut_down(), answered);

    assert_eq!((ended, answer.version), (Ended::Stopped, 1));
    assert!(!dir.path().join("control.sock").exists());
    let proxy = Proxy::start_in(&dir).await;
    assert_eq!(proxy.client.routes().await.expect("routes").len(), 1);
}

#[tokio::test]
async fn two_cannot_run_in_one_folder() {
    let proxy = Proxy::start().await;
    let error = refused_start(proxy.path()).await;
    assert!(
        matches!(error, ServeError::Home(HomeError::Occupied(_))),
        "{error}"
    );
    proxy.client.hello().await.expect("the first one is well");
}

#[tokio::test]
async fn a_route_file_that_cannot_be_read_is_named_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("routes.json");
    for text in [
        "{\"version\": 1, \"routes\": [",
        "{\"version\": 99, \"routes\": []}",
        "{\"version\": 1, \"routes\": [{\"listen\": \"127.0.0.1:0\", \"upstream\": \
         \"127.0.0.1:80\", \"lane\": \"a\", \"generation\": 1}]}",
    ] {
        fs::write(&file, text).expect("written");
        let error = refused_start(dir.path()).await.to_string();
        assert!(error.contains(file.to_str().expect("a path")), "{error}");
        assert!(error.contains("move it away"), "{error}");
        assert_eq!(fs::read_to_string(&file).expect("a file"), text);
    }
}

#[tokio::test]
async fn what_is_written_is_for_its_owner_only_and_has_no_remains() {
    let proxy = Proxy::start().await;
    proxy.put(address(), address(), 1).await;
    let socket = proxy.path().join("control.sock");
    let mode = socket.metadata().expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut names: Vec<_> = fs::read_dir(proxy.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["control.sock", "lock", "routes.json"]);
}

#[tokio::test]
async fn a_busy_port_is_named_with_its_holder() {
    let proxy = Proxy::start().await;
    let listen = address();
    let _holder = TcpListener::bind(listen).await.expect("a port");

    let put = proxy.client.put(&route(listen, address(), 1)).await;

    let error = put.expect_err("the port is taken");
    assert_eq!(refusal(&error), Reason::Listen);
    let message = error.to_string();
    assert!(message.contains("port 8000"), "{message}");
    let me = format!("(pid {})", std::process::id());
    assert!(message.contains(&me), "{message}");
    assert_eq!(proxy.client.routes().await.expect("routes"), []);
}

#[tokio::test]
async fn a_port_that_is_taken_at_the_start_is_held_as_soon_as_it_is_free() {
    let proxy = Proxy::start().await;
    let (taken, free) = (address(), address());
    let app = App::start(1).await;
    proxy.put(taken, app.address, 1).await;
    proxy.put(free, app.address, 1).await;
    let dir = proxy.kill().await;
    let holder = TcpListener::bind(taken).await.expect("a port");

    let proxy = Proxy::start_in(&dir).await;

    let mut browser = Browser::connect(free).await;
    browser.get("/").await.expect("the others are held");
    let problem = proxy.client.routes().await.expect("routes")[0]
        .problem
        .clone();
    assert!(problem.expect("a problem").contains("port 8000"));
    drop(holder);
    eventually("it is held", async || {
        proxy.client.routes().await.expect("routes")[0]
            .problem
            .is_none()
    })
    .await;
    Browser::connect(taken)
        .await
        .get("/")
        .await
        .expect("an answer");
}

#[tokio::test]
async fn a_route_that_makes_no_sense_is_refused() {
    let proxy = Proxy::start().await;
    let listen = address();
    let error = proxy
        .client
        .put(&route(listen, listen, 1))
        .await
        .expect_err("refused");
    assert_eq!(refusal(&error), Reason::BadRoute);
}

#[tokio::test]
async fn it_stops_when_it_holds_nothing_or_must() {
    let proxy = Proxy::start().await;
    let listen = address();
    proxy.put(listen, address(), 1).await;

    let error = proxy
        .client
        .stop(Stop::IfUnused)
        .await
        .expect_err("it holds a route");
    assert_eq!(refusal(&error), Reason::HoldsRoutes);
    assert!(
        error.to_string().contains(&format!("{listen} (shop/prod)")),
        "{error}"
    );

    proxy.client.stop(Stop::Always).await.expect("it stops");
    let client = proxy.client.clone();
    assert_eq!(proxy.ended().await, Ended::Stopped);
    let error = client.hello().await.expect_err("nobody runs");
    assert!(matches!(error, ClientError::NotRunning(_)), "{error}");
}

/// A process that says this and nothing else.
async fn hello_from(hello: &str) -> ClientError {
    let dir = tempfile::tempdir().expect("a folder");
    let listener = UnixListener::bind(dir.path().join("control.sock")).expect("a socket");
    let answer = async {
        let (mut stream, _) = listener.accept().await.expect("a client");
        stream.write_all(hello.as_bytes()).await.expect("sent");
        stream
    };
    let client = Client::new(dir.path());
    let (said, _stream) = tokio::join!(client.hello(), answer);
    said.expect_err("it is not understood")
}

#[tokio::test]
async fn older_and_newer_processes_are_told_apart() {
    let older = "{\"protocol\":0,\"oldest_protocol\":0,\"program\":\"0.0.1\",\"pid\":7}\n";
    let error = hello_from(older).await;
    assert!(
        matches!(
            error,
            ClientError::Wire(WireError::Mismatch(Mismatch::TooOld { .. }))
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("version 0.0.1, pid 7) is too old"),
        "{error}"
    );
    let newer = "{\"protocol\":9,\"oldest_protocol\":8,\"program\":\"9.0.0\",\"pid\":7}\n";
    let error = hello_from(newer).await;
    assert!(
        error
            .to_string()
            .contains("version 9.0.0, pid 7) is too new"),
        "{error}"
    );
}

/// What the process answers to these lines, after its hello.
async fn answer_to(proxy: &Proxy, lines: &str) -> io::Result<Option<String>> {
    let stream = UnixStream::connect(proxy.path().join("control.sock")).await?;
    let mut stream = BufReader::new(stream);
    stream.write_all(lines.as_bytes()).await?;
    let mut answers = stream.lines();
    let hello = answers.next_line().await?.expect("a hello");
    assert!(
        hello.contains(&format!("\"protocol\":{PROTOCOL}")),
        "{hello}"
    );
    answers.next_line().await
}

#[tokio::test]
async fn a_newer_client_that_still_speaks_our_protocol_is_understood() {
    let proxy = Proxy::start().await;
    let hello = format!(
        "{{\"protocol\":{},\"oldest_protocol\":{PROTOCOL},\"program\":\"9\",\"pid\":1,\"more\":[]}}\n",
        PROTOCOL + 1
    );
    let routes = answer_to(&proxy, &format!("{hello}{{\"routes\":{{\"more\":1}}}}\n")).await;
    assert_eq!(
        routes.expect("an answer").as_deref(),
        Some("{\"routes\":[]}")
    );
    let unknown = answer_to(&proxy, &format!("{hello}{{\"dance\":{{}}}}\n")).await;
    let unknown = unknown.expect("an answer").expect("a line");
    assert!(unknown.contains("does not understand"), "{unknown}");
    let too_new = hello.replace(
        &format!("\"oldest_protocol\":{PROTOCOL}"),
        "\"oldest_protocol\":99",
    );
    let ended = answer_to(&proxy, &format!("{too_new}{{\"routes\":{{}}}}\n")).await;
    assert!(!matches!(ended, Ok(Some(_))), "it is dismissed");
}

#[tokio::test]
async fn a_client_that_waits_for_nobody_is_told_so() {
    let dir = Arc::new(tempfile::tempdir().expect("a folder"));
    let error = Client::new(dir.path())
        .routes()
        .await
        .expect_err("nobody runs");
    assert!(error.to_string().contains("tiny-forge proxy"), "{error}");
}
