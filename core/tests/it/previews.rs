//! What a deploy would do, said beforehand.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{bench::bench, binary::Binary, registry::free_port};

const PATH: &str = "/api/projects/ahead/deploys?dry_run=true";

#[tokio::test]
async fn a_preview_tells_plan_image_and_changes_and_does_nothing() {
    let bench = bench().await;
    bench
        .project("ahead", |spec| {
            spec["env"] = json!([{"name": "WORD", "value": "one"},
                {"name": "KEY", "value": "first", "secret": true}]);
        })
        .await;
    let (status, first) = bench.server.post(PATH, &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(first["changes"], json!([]), "nothing serves yet");
    assert_eq!(first["plan"]["strategy"], "start-first");
    let deploy = bench.deploy("ahead").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert_eq!(deploy["digest"], first["digest"]);

    let port = free_port();
    bench
        .update("ahead", |spec| {
            spec["env"] = json!([{"name": "WORD", "value": "two"},
                {"name": "KEY", "value": "second", "secret": true}]);
            spec["ports"] = json!([{"host": port, "container": 80, "host_ip": "127.0.0.1"}]);
            spec["networks"] = json!(["nowhere"]);
            spec["bake_ms"] = json!(1_000);
        })
        .await;
    let (_, second) = bench.server.post(PATH, &json!({})).await;
    assert_eq!(second["plan"]["strategy"], "port-hold");
    assert_eq!(second["plan"]["downtime"], false);
    assert_eq!(second["serving_digest"], deploy["digest"]);
    let warnings = second["plan"]["warnings"].to_string();
    assert!(
        warnings.contains("network `nowhere` does not exist"),
        "{warnings}"
    );
    let steps = second["steps"].as_array().expect("steps");
    assert!(steps.contains(&json!("bake")), "{second}");
    let changes = second["changes"].as_array().expect("changes");
    for change in [
        json!({"field": "/env/WORD", "before": "one", "after": "two"}),
        json!({"field": "/env/KEY", "secret": true}),
        json!({"field": "/ports/0/host", "after": port}),
        json!({"field": "/bake_ms", "before": 0, "after": 1_000}),
    ] {
        assert!(changes.contains(&change), "{change} in {second}");
    }

    let said = Binary::against(&bench.server)
        .run(&["deploy", "ahead", "--dry-run"])
        .await;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("change  /env/WORD: \"one\" → \"two\""),
        "{said}"
    );
    assert!(said.contains("change  /env/KEY: a secret"), "{said}");
    bench
        .update("ahead", |spec| {
            spec["networks"] = json!([]);
            spec["ports"] = json!([]);
            spec["bake_ms"] = json!(600_000);
        })
        .await;
    let deploys = bench.server.json("/api/deploys?project=ahead").await;
    assert_eq!(deploys["items"].as_array().map(Vec::len), Some(1));
    let baking = bench.start("ahead").await;
    bench.reaches(baking, "baking").await;
    bench
        .update("ahead", |spec| spec["stop_grace_ms"] = json!(1_000))
        .await;
    let (_, third) = bench.server.post(PATH, &json!({})).await;
    let change = json!([{"field": "/stop_grace_ms", "before": 2_000, "after": 1_000}]);
    assert_eq!(
        third["changes"], change,
        "of what serves, though it is watched"
    );
    bench.server.stop().await;
}

#[tokio::test]
async fn an_image_that_is_not_there_is_a_warning_of_the_preview() {
    let bench = bench().await;
    bench.project("ahead", |_| {}).await;
    let body = json!({"image": "127.0.0.1:1/none:1"});
    let (status, preview) = bench.server.post(PATH, &body).await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    let warnings = preview["plan"]["warnings"].to_string();
    assert!(
        warnings.contains("127.0.0.1:1 was asked in vain"),
        "{warnings}"
    );
    let (status, _) = bench.server.post(PATH, &json!({"image": ""})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let other = "/api/projects/nobody/deploys?dry_run=true";
    assert_eq!(
        bench.server.post(other, &json!({})).await.0,
        StatusCode::NOT_FOUND
    );
    bench.server.stop().await;
}
