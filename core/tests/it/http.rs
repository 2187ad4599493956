//! What the server lets in, and what it answers where.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tiny_forge::{
    app::App,
    config::{Config, ServeArgs},
};
use tokio::io::AsyncWriteExt;

use crate::support::{raw::Raw, server::Server, sse::PATIENCE, wait};

#[tokio::test]
async fn an_unknown_path_of_the_api_is_a_problem_and_any_other_is_the_page() {
    let server = Server::start().await;
    let response = server.get("/api/nothing").send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Value = response.json().await.expect("JSON");
    assert_eq!(problem["code"], "not_found");
    let asset = server
        .get("/_app/immutable/gone.js")
        .send()
        .await
        .expect("an answer");
    assert_eq!(asset.status(), StatusCode::NOT_FOUND);
    server.stop().await;
}

#[tokio::test]
async fn a_request_for_another_host_is_refused_even_for_the_page() {
    let server = Server::start().await;
    for path in ["/", "/api/status"] {
        let request = server.get(path).header("host", "evil.example");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
    let with_port = server.get("/api/status").header("host", "localhost:1234");
    assert_eq!(
        with_port.send().await.expect("an answer").status(),
        StatusCode::OK
    );
    server.stop().await;
}

#[tokio::test]
async fn a_host_that_is_configured_is_served_and_its_page_may_write() {
    let server = Server::configured(|_, args| args.hosts = Some("forge.lan".into())).await;
    let body = serde_json::json!({"name": "p", "spec": {"image": "app:1"}});
    let write = server.http.post(server.url("/api/projects")).json(&body);
    let write = write
        .header("host", "forge.lan:8080")
        .header("origin", "https://forge.lan:8080");
    let response = write.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::CREATED);
    server.stop().await;
}

#[tokio::test]
async fn a_write_from_another_site_or_of_another_content_type_is_refused() {
    let server = Server::start().await;
    let write = || {
        server
            .http
            .request(Method::POST, server.url("/api/projects"))
    };
    let json = || {
        write()
            .header("content-type", "application/json")
            .body("{}")
    };
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let response = json()
            .header("origin", origin)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let response = write()
            .header("content-type", kind)
            .body("{}")
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            response.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{kind}"
        );
    }
    let same = format!("http://{}", server.address());
    let response = json()
        .header("origin", same)
        .send()
        .await
        .expect("an answer");
    assert!(
        ![StatusCode::FORBIDDEN, StatusCode::UNSUPPORTED_MEDIA_TYPE].contains(&response.status()),
        "its own page is let in"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_mistyped_parameter_is_named_instead_of_showing_everything() {
    let server = Server::start().await;
    for (path, named) in [
        ("/api/events?typ=system", "typ"),
        ("/api/events?type=deploys", "deploy_status"),
        ("/api/events?severity=loud", "critical"),
        ("/api/events?limit=0", "limit"),
        ("/api/events?after=abc-x", "after"),
    ] {
        let response = server.get(path).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        let problem: Value = response.json().await.expect("JSON");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains(named) || path.contains("abc-x"),
            "{path}: {detail}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_by_name() {
    let server = Server::start().await;
    let args = ServeArgs {
        listen: Some("127.0.0.1:0".into()),
        data: server.dir.path().join("data").to_str().map(str::to_owned),
        ..ServeArgs::default()
    };
    let second = App::start(Config::load(&args).expect("valid")).await;
    let message = second.err().expect("refused").to_string();
    assert!(
        message.contains("in use by another tiny-forge"),
        "{message}"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_told_by_field() {
    let server = Server::start().await;
    let spec = json!({"image": "nginx"});
    for (body, field, said) in [
        (
            json!({"name": "Sh op", "spec": spec}),
            "/name",
            "`Sh op` is not valid",
        ),
        (
            json!({"name": "shop", "spec": {"image": "nginx", "ports": [{"container": "x"}]}}),
            "/spec/ports/0/container",
            "expected u16",
        ),
    ] {
        let (status, problem) = server.post("/api/projects", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["errors"][0]["field"], field);
        let message = problem["errors"][0]["message"].as_str().expect("a message");
        assert!(
            message.contains(said) && !message.contains("column"),
            "{message}"
        );
    }
    let shop = json!({"name": "shop", "spec": spec});
    assert_eq!(
        server.post("/api/projects", &shop).await.0,
        StatusCode::CREATED
    );
    let (status, problem) = server.post("/api/projects", &shop).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["errors"][0]["field"], "/name");
    server.stop().await;
}

#[tokio::test]
async fn a_large_page_of_json_is_compressed_for_those_who_take_it() {
    let server = Server::start().await;
    for name in ["one", "two", "three", "four", "five"] {
        let project = json!({"name": name, "spec": {"image": "app:1"}});
        assert_eq!(
            server.post("/api/projects", &project).await.0,
            StatusCode::CREATED
        );
    }
    for path in [
        "/api/openapi.json",
        "/api/events?limit=500&format=cloudevents",
    ] {
        let plain = server.get(path).send().await.expect("an answer");
        assert!(!plain.headers().contains_key("content-encoding"), "{path}");
        let packed = server
            .get(path)
            .header("accept-encoding", "br, gzip")
            .send();
        let packed = packed.await.expect("an answer");
        assert_eq!(packed.headers()["content-encoding"], "gzip", "{path}");
        for answer in [&plain, &packed] {
            assert_eq!(answer.headers()["vary"], "accept-encoding", "{path}");
        }
        let plain = plain.bytes().await.expect("a body");
        let packed = packed.bytes().await.expect("a body");
        assert!(packed.len() < plain.len(), "{path}");
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed[..])
            .read_to_end(&mut unpacked)
            .expect("gzip");
        assert!(unpacked == plain, "{path}");
    }
    let small = server
        .get("/api/events/1")
        .header("accept-encoding", "gzip")
        .send();
    let small = small.await.expect("an answer");
    assert!(!small.headers().contains_key("content-encoding"));
    server.stop().await;
}

#[tokio::test]
async fn nothing_on_the_way_may_change_a_stream_and_its_first_bytes_come_at_once() {
    let server = Server::start().await;
    let over_http2 = Client::builder().no_proxy().http2_prior_knowledge();
    for http in [server.http.clone(), over_http2.build().expect("a client")] {
        for accept in ["text/event-stream", "application/x-ndjson"] {
            let request = http.get(server.url("/api/events"));
            let request = request
                .header("accept", accept)
                .header("accept-encoding", "gzip");
            let mut response = request.send().await.expect("an answer");
            let headers = response.headers();
            assert!(!headers.contains_key("content-encoding"), "{accept}");
            assert_eq!(headers["cache-control"], "no-cache, no-transform");
            assert_eq!(headers["x-accel-buffering"], "no");
            let first = tokio::time::timeout(PATIENCE, response.chunk()).await;
            let first = first.expect("in time").expect("bytes").expect("bytes");
            assert!(
                String::from_utf8_lossy(&first).contains("hello"),
                "{first:?}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_that_speaks_http_1_0_gets_a_stream_that_is_not_chunked() {
    let server = Server::start().await;
    let mut proxy = Raw::connect(&server).await;
    // What nginx sends by itself to who is behind it.
    let request =
        "GET /api/events?after=0 HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let sent = proxy.socket.write_all(request.as_bytes()).await;
    sent.expect("sent");
    proxy.until("\"what\":\"started\"").await;
    proxy.until("}\n\n").await;
    let (head, body) = proxy.text.split_once("\r\n\r\n").expect("a head");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.0 200 ok\r\n"), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(head.contains("x-accel-buffering: no"), "{head}");
    assert!(body.contains("event: hello\ndata: {"), "{body}");
    for line in body.lines().filter(|line| !line.is_empty()) {
        let field = line.split(": ").next().expect("a field");
        assert!(["retry", "event", "id", "data"].contains(&field), "{line}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_asks_for_the_head_of_a_stream_only_is_no_subscriber() {
    let server = Server::start().await;
    let over_http2 = Client::builder().no_proxy().http2_prior_knowledge();
    for http in [server.http.clone(), over_http2.build().expect("a client")] {
        let answer = http.head(server.url("/api/events")).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let gone = wait::answer(async || {
            let open = server.json("/api/subscriptions").await;
            (open["items"] == json!([])).then_some(())
        });
        gone.await.expect("it has left");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_is_as_long_as_a_large_filter_needs_and_no_longer() {
    let server = Server::start().await;
    let with_cookies = async |bytes: usize| {
        let request = server
            .get("/api/status")
            .header("cookie", "c".repeat(bytes));
        request.send().await.map(|answer| answer.status())
    };
    let long = with_cookies(60_000).await.expect("an answer");
    assert_eq!(long, StatusCode::OK);
    // Who goes on writing may be cut off before the answer is there.
    if let Ok(status) = with_cookies(100_000).await {
        assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    server.stop().await;
}
