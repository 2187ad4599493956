//! The dashboard's files.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::{Method, Response, StatusCode};

use crate::support::server::Server;

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = server.http.get(server.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().expect("text"))
}

/// The path of the program that the page loads.
async fn program(server: &Server) -> String {
    let page = get(server, "/", &[]).await.text().await.expect("text");
    let (_, rest) = page
        .split_once("/_app/immutable/bundle.")
        .expect("the page is built: `make web`");
    let (name, _) = rest.split_once('"').expect("a quoted path");
    format!("/_app/immutable/bundle.{name}")
}

#[tokio::test]
async fn a_file_comes_in_the_encoding_that_the_client_likes_best() {
    let server = Server::start().await;
    for (accepted, expected) in [
        ("", ""),
        ("identity", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate, br, identity", "br"),
        ("GZIP;q=0.9, br;q=0.5", "gzip"),
        ("br;q=0, gzip;q=0.001", "gzip"),
        ("br;q=0, gzip;q=0", ""),
        ("identity, br;q=0.5", ""),
        ("*", "br"),
        ("*;q=0", ""),
        ("br;q=0, *", "gzip"),
    ] {
        let page = get(&server, "/", &[("accept-encoding", accepted)]).await;
        assert_eq!(header(&page, "content-encoding"), expected, "{accepted}");
        assert_eq!(header(&page, "vary"), "accept-encoding");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_compressed_file_is_smaller_and_the_same() {
    let server = Server::start().await;
    let path = program(&server).await;
    let plain = get(&server, &path, &[]).await;
    assert_eq!(
        header(&plain, "cache-control"),
        "public, max-age=31536000, immutable"
    );
    let gzip = get(&server, &path, &[("accept-encoding", "gzip")]).await;
    assert_ne!(header(&plain, "etag"), header(&gzip, "etag"));
    let length = header(&gzip, "content-length").parse().ok();
    let (plain, gzip) = (
        plain.bytes().await.expect("a body"),
        gzip.bytes().await.expect("a body"),
    );
    assert_eq!(length, Some(gzip.len()));
    assert!(gzip.len() < plain.len() / 2);
    let mut unpacked = Vec::new();
    GzDecoder::new(&gzip[..])
        .read_to_end(&mut unpacked)
        .expect("gzip");
    assert!(unpacked == plain);
    server.stop().await;
}

#[tokio::test]
async fn a_file_that_the_client_has_is_not_sent_again() {
    let server = Server::start().await;
    let first = get(&server, "/", &[]).await;
    assert_eq!(header(&first, "cache-control"), "no-cache");
    let etag = header(&first, "etag");
    for known in [
        etag.to_owned(),
        format!("W/{etag}"),
        format!("\"other\", {etag}"),
        "*".to_owned(),
    ] {
        let again = get(&server, "/", &[("if-none-match", &known)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        for name in ["etag", "cache-control", "vary"] {
            assert_eq!(header(&again, name), header(&first, name), "{name}");
        }
        assert!(again.bytes().await.expect("no body").is_empty());
    }
    let twice = [("if-none-match", "\"other\""), ("if-none-match", etag)];
    assert_eq!(
        get(&server, "/", &twice).await.status(),
        StatusCode::NOT_MODIFIED
    );
    // It has the file in another encoding, or a part of the name.
    let gzip = [("if-none-match", etag), ("accept-encoding", "gzip")];
    assert_eq!(get(&server, "/", &gzip).await.status(), StatusCode::OK);
    let part = etag.trim_matches('"');
    assert_eq!(
        get(&server, "/", &[("if-none-match", part)]).await.status(),
        StatusCode::OK
    );
    server.stop().await;
}

#[tokio::test]
async fn the_head_of_a_file_is_that_of_the_whole() {
    let server = Server::start().await;
    let whole = get(&server, "/theme.js", &[]).await;
    let head = server.http.head(server.url("/theme.js")).send().await;
    let head = head.expect("an answer");
    for name in [
        "content-length",
        "content-type",
        "etag",
        "x-content-type-options",
    ] {
        assert!(!header(&head, name).is_empty(), "{name}");
        assert_eq!(header(&head, name), header(&whole, name), "{name}");
    }
    assert!(head.bytes().await.expect("no body").is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_path_that_is_no_file_is_the_page_and_only_read() {
    let server = Server::start().await;
    let page = get(&server, "/", &[]).await;
    for path in [
        "/projects/shop",
        "/index.html",
        "/index.html.br",
        "/favicon.svg.gz",
    ] {
        let other = get(&server, path, &[]).await;
        assert_eq!(header(&other, "etag"), header(&page, "etag"), "{path}");
        assert_eq!(header(&other, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&other, "x-frame-options"), "DENY");
    }
    let (status, _) = server
        .send(Method::PUT, "/theme.js", &serde_json::json!({}))
        .await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    server.stop().await;
}
