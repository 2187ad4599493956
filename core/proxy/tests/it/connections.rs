//! What a client and an app see of each other through the proxy.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{address, app::App, browser::Browser, eventually, in_time, proxy::Proxy};

/// Both ends of one connection through the proxy.
struct Ends {
    proxy: Proxy,
    listen: SocketAddr,
    upstream: SocketAddr,
    client: TcpStream,
    app: TcpStream,
}

impl Ends {
    async fn new() -> Self {
        let proxy = Proxy::start().await;
        let (listen, upstream) = (address(), address());
        let listener = TcpListener::bind(upstream).await.expect("a port");
        proxy.put(listen, upstream, 1).await;
        let client = TcpStream::connect(listen).await.expect("a connection");
        let (app, _) = in_time("it comes through", listener.accept())
            .await
            .expect("a connection");
        Self {
            proxy,
            listen,
            upstream,
            client,
            app,
        }
    }

    async fn open(&self) -> u64 {
        self.proxy.upstream(self.listen, self.upstream).await.open
    }
}

async fn expect(stream: &mut TcpStream, text: &[u8]) {
    let mut came = vec![0; text.len()];
    in_time("it arrives", stream.read_exact(&mut came))
        .await
        .expect("bytes");
    assert_eq!(came, text);
}

async fn rest(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    in_time("it ends", stream.read_to_end(&mut rest)).await?;
    Ok(rest)
}

#[tokio::test]
async fn either_side_may_speak_first() {
    let mut ends = Ends::new().await;
    ends.app.write_all(b"220 ready\r\n").await.expect("sent");
    expect(&mut ends.client, b"220 ready\r\n").await;
    ends.client.write_all(b"\x00\x01").await.expect("sent");
    expect(&mut ends.app, b"\x00\x01").await;
}

#[tokio::test]
async fn each_byte_is_forwarded_when_it_comes() {
    let mut ends = Ends::new().await;
    for byte in b"GET / HTTP/1.1\r\n" {
        ends.client.write_all(&[*byte]).await.expect("sent");
        expect(&mut ends.app, &[*byte]).await;
    }
}

#[tokio::test]
async fn a_half_closed_connection_goes_on_in_the_other_direction() {
    let mut ends = Ends::new().await;
    ends.client.write_all(b"question").await.expect("sent");
    ends.client.shutdown().await.expect("half closed");
    assert_eq!(rest(&mut ends.app).await.expect("all of it"), b"question");
    ends.app.write_all(b"answer").await.expect("sent");
    drop(ends.app);
    assert_eq!(rest(&mut ends.client).await.expect("all of it"), b"answer");
}

#[tokio::test]
async fn large_answers_arrive_whole_at_a_slow_client() {
    let mut ends = Ends::new().await;
    let answer: Vec<u8> = (0..4_000_000_u32).map(|it| it.to_le_bytes()[0]).collect();
    let send = async {
        ends.app.write_all(&answer).await.expect("sent");
        ends.app.shutdown().await.expect("half closed");
    };
    let mut client = ends.client;
    let receive = async {
        let mut came = Vec::new();
        let mut piece = [0; 1000];
        loop {
            match client.read(&mut piece).await.expect("bytes") {
                0 => return came,
                count => came.extend_from_slice(&piece[..count]),
            }
            tokio::task::yield_now().await;
        }
    };
    let (came, ()) = in_time("it arrives", async { tokio::join!(receive, send) }).await;
    assert!(came == answer);
}

#[tokio::test]
async fn a_client_that_vanishes_is_gone_for_the_app_too() {
    let mut ends = Ends::new().await;
    ends.client.write_all(b"hello").await.expect("sent");
    expect(&mut ends.app, b"hello").await;
    ends.client.set_zero_linger().expect("a socket");
    drop(ends.client);
    let error = rest(&mut ends.app).await.expect_err("no proper end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_app_that_breaks_off_does_not_look_like_a_proper_end() {
    let mut ends = Ends::new().await;
    ends.client
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    expect(&mut ends.app, b"GET / HTTP/1.1\r\n\r\n").await;
    ends.app
        .write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf of i")
        .await
        .expect("sent");
    expect(&mut ends.client, b"HTTP/1.1 200 OK\r\n\r\nhalf of i").await;
    ends.app.set_zero_linger().expect("a socket");
    drop(ends.app);
    let error = rest(&mut ends.client).await.expect_err("no proper end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_app_that_answers_before_it_has_read_all_is_heard() {
    let mut ends = Ends::new().await;
    let head = b"POST / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n";
    ends.client.write_all(head).await.expect("sent");
    expect(&mut ends.app, head).await;
    let answer = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
    ends.app.write_all(answer).await.expect("sent");
    expect(&mut ends.client, &answer[..answer.len() - 2]).await;
    // Closed with bytes that nobody has read, the socket says that it broke off.
    ends.client.write_all(&[b'x'; 1000]).await.expect("sent");
    in_time("it arrives", ends.app.readable())
        .await
        .expect("bytes");
    drop(ends.app);
    assert_eq!(rest(&mut ends.client).await.expect("the rest"), b"no");
}

#[tokio::test]
async fn an_app_that_closes_an_idle_connection_closes_it_for_the_client() {
    let mut ends = Ends::new().await;
    ends.client
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    expect(&mut ends.app, b"GET / HTTP/1.1\r\n\r\n").await;
    ends.app
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .await
        .expect("sent");
    expect(&mut ends.client, b"HTTP/1.1 204 No Content\r\n\r\n").await;
    drop(ends.app);
    assert_eq!(rest(&mut ends.client).await.expect("the end"), b"");
}

#[tokio::test]
async fn a_last_response_ends_the_connection_even_where_the_app_leaves_that_to_others() {
    let mut ends = Ends::new().await;
    ends.client
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    expect(&mut ends.app, b"GET / HTTP/1.1\r\n\r\n").await;
    let last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye";
    ends.app.write_all(last).await.expect("sent");
    assert_eq!(rest(&mut ends.client).await.expect("all of it"), last);
    let proxy = &ends;
    eventually("nobody is left", async || proxy.open().await == 0).await;
}

#[tokio::test]
async fn an_app_that_refuses_for_a_moment_is_waited_for() {
    let proxy = Proxy::start().await;
    let (listen, upstream) = (address(), address());
    proxy.put(listen, upstream, 1).await;
    let mut browser = Browser::connect(listen).await;
    browser.ask("/").await.expect("a request");
    let waits = async || proxy.client.routes().await.expect("routes")[0].waiting == 1;
    eventually("the request waits for the app", waits).await;
    let _app = App::start_at(7, upstream).await;
    assert_eq!(browser.answer().await.expect("an answer").version, 7);
}

#[tokio::test]
async fn who_waits_for_an_app_that_refuses_is_led_to_the_one_that_follows() {
    let proxy = Proxy::start().await;
    let (listen, nobody) = (address(), address());
    proxy.put(listen, nobody, 1).await;
    let mut browser = Browser::connect(listen).await;
    browser.ask("/").await.expect("a request");
    let app = App::start(2).await;
    proxy.put(listen, app.address, 2).await;
    assert_eq!(browser.answer().await.expect("an answer").version, 2);
    proxy.drain(listen, nobody).await;
}

#[tokio::test]
async fn a_client_of_an_app_that_is_not_there_is_let_go_after_a_while() {
    let proxy = Proxy::start().await;
    let (listen, nobody) = (address(), address());
    proxy.put(listen, nobody, 1).await;
    let mut client = TcpStream::connect(listen).await.expect("a connection");
    assert_eq!(rest(&mut client).await.expect("the end"), b"");
}

#[tokio::test]
async fn what_passes_is_counted() {
    let mut ends = Ends::new().await;
    ends.client.write_all(b"12345").await.expect("sent");
    expect(&mut ends.app, b"12345").await;
    ends.app.write_all(b"123").await.expect("sent");
    expect(&mut ends.client, b"123").await;
    let status = ends.proxy.upstream(ends.listen, ends.upstream).await;
    assert_eq!((status.bytes_to_upstream, status.bytes_to_client), (5, 3));
    assert_eq!((status.open, status.idle, status.is_current), (1, 0, true));
}
