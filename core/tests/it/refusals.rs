//! Requests that cannot be served: what is wrong with them, and what the API says of that.

use reqwest::{Client, Method, Response, header::HeaderMap};
use serde_json::Value;

use crate::support::server::Server;

/// A request that is refused: route, method, path, headers and body, and with what.
struct Refused {
    route: &'static str,
    method: Method,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: String,
    status: u16,
    /// What is wrong, and the remedy.
    named: [&'static str; 2],
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const FROM_ELSEWHERE: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("origin", "https://evil.example"),
];

impl Refused {
    fn get(route: &'static str, path: &'static str, status: u16, named: [&'static str; 2]) -> Self {
        Self {
            route,
            method: Method::GET,
            path,
            headers: &[],
            body: String::new(),
            status,
            named,
        }
    }

    fn write(method: Method, path: &'static str, status: u16, named: [&'static str; 2]) -> Self {
        Self {
            method,
            headers: JSON,
            ..Self::get(path, path, status, named)
        }
    }

    async fn answer(&self, http: &Client, server: &Server) -> Response {
        let request = http.request(self.method.clone(), server.url(self.path));
        let headers = self.headers.iter().copied();
        let headers = headers.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.insert(name, value.parse().expect("a value"));
            headers
        });
        let request = request.headers(headers).body(self.body.clone());
        request.send().await.expect("an answer")
    }
}

fn of_paths_and_parameters() -> Vec<Refused> {
    let number = ["`abc`", "a number"];
    let mut refused = vec![
        Refused::get(
            "/api/projects/{project}",
            "/api/projects/%ff",
            400,
            ["`project`", "UTF-8"],
        ),
        Refused::get(
            "/api/projects",
            "/api/projects?page=2",
            400,
            ["`page`", "there are"],
        ),
        Refused::get(
            "/api/events",
            "/api/events?severity=x",
            400,
            ["`severity`", "critical"],
        ),
        Refused::get(
            "/api/deploys",
            "/api/deploys?limit=many",
            400,
            ["`many`", "1 to 500"],
        ),
        Refused {
            headers: &[("accept", "image/png")],
            ..Refused::get(
                "/api/events",
                "/api/events",
                406,
                ["`Accept`", "event-stream"],
            )
        },
        Refused {
            headers: &[("host", "evil.example")],
            ..Refused::get(
                "/api/status",
                "/api/status",
                421,
                ["`evil.example`", "`hosts`"],
            )
        },
    ];
    for (route, path) in [
        ("/api/deploys/{id}", "/api/deploys/abc"),
        ("/api/deploys/{id}/logs", "/api/deploys/abc/logs"),
        ("/api/deploys/{id}/logs.txt", "/api/deploys/abc/logs.txt"),
        ("/api/events/{id}", "/api/events/abc"),
        ("/api/events/{id}/trace", "/api/events/abc/trace"),
    ] {
        refused.push(Refused::get(route, path, 400, number));
    }
    let cancel = Refused::write(Method::POST, "/api/deploys/abc/cancel", 400, number);
    let route = "/api/deploys/{id}/cancel";
    refused.push(Refused { route, ..cancel });
    refused
}

fn of_writes() -> Vec<Refused> {
    let post = |status, named| Refused::write(Method::POST, "/api/projects", status, named);
    let of_type = ["`Content-Type", "application/json"];
    vec![
        Refused {
            headers: &[],
            ..post(415, of_type)
        },
        Refused {
            headers: &[("content-type", "text/plain")],
            ..post(415, of_type)
        },
        Refused {
            headers: FROM_ELSEWHERE,
            ..post(403, ["another site", "the dashboard"])
        },
        Refused {
            body: format!("{{\"name\": \"{}\"}}", "x".repeat(1 << 20)),
            ..post(413, ["the body", "1 MiB"])
        },
        Refused {
            body: "{".into(),
            ..post(422, ["EOF", "object"])
        },
    ]
}

#[tokio::test]
async fn whatever_is_refused_is_a_problem_with_its_remedy_that_the_description_of_the_api_has() {
    let server = Server::start().await;
    let api = server.json("/api/openapi.json").await;
    for refused in of_paths_and_parameters().iter().chain(&of_writes()) {
        let answer = refused.answer(&server.http, &server).await;
        check(answer, refused).await;
        let method = refused.method.as_str().to_lowercase();
        let described = &api["paths"][refused.route][&method]["responses"];
        let described = &described[refused.status.to_string()]["content"];
        let schema = &described["application/problem+json"]["schema"]["$ref"];
        let Refused { path, status, .. } = refused;
        assert_eq!(
            schema, "#/components/schemas/Problem",
            "{method} {path}: {status}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_method_that_a_path_has_not_is_refused_by_the_names_of_those_that_it_has() {
    let server = Server::start().await;
    for (path, allow) in [
        ("/api/projects", "GET,HEAD,POST"),
        ("/api/deploys/1/cancel", "POST"),
        ("/healthz", "GET,HEAD"),
        ("/", "GET,HEAD"),
    ] {
        let refused = Refused::write(Method::PATCH, path, 405, ["no PATCH", "`Allow`"]);
        let answer = refused.answer(&server.http, &server).await;
        assert_eq!(answer.headers()["allow"], allow, "{path}");
        check(answer, &refused).await;
    }
    server.stop().await;
}

async fn check(answer: Response, refused: &Refused) {
    let Refused {
        route,
        path,
        status,
        named,
        ..
    } = refused;
    assert_eq!(answer.status().as_u16(), *status, "{route}: {path}");
    let media_type = answer.headers()["content-type"].clone();
    assert_eq!(media_type, "application/problem+json", "{path}");
    assert!(
        answer.headers().contains_key("x-content-type-options"),
        "{path}"
    );
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(problem["status"], *status, "{path}");
    let detail = problem["detail"].as_str().expect("a detail");
    for word in named {
        assert!(detail.contains(word), "{path}: {word} in {detail}");
    }
}

#[tokio::test]
async fn streams_are_described_with_what_is_answered_when_there_are_too_many() {
    let server = Server::start().await;
    let api = server.json("/api/openapi.json").await;
    for (path, is_stream) in [
        ("/api/events", true),
        ("/api/deploys/{id}/logs", true),
        ("/api/projects", false),
    ] {
        let responses = &api["paths"][path]["get"]["responses"];
        assert!(responses["503"].is_object(), "{path}");
        assert_eq!(responses["429"].is_object(), is_stream, "{path}");
    }
    server.stop().await;
}
