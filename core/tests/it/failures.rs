//! Whatever goes wrong with a deploy, the instance that serves goes on serving.

use serde_json::{Value, json};

use crate::support::{bench::bench, registry::free_port};

#[tokio::test]
async fn whatever_goes_wrong_the_running_instance_stays_and_the_reason_is_told() {
    let bench = bench().await;
    bench.project("shop", |_| {}).await;
    assert_eq!(bench.deploy("shop").await["status"], "succeeded");
    let good = bench.server.json("/api/projects/shop").await["stages"][0]["spec"].clone();
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str, &str); 5] = [
        (
            "a missing image",
            |spec| spec["image"] = json!("127.0.0.1:1/none:1"),
            "pull",
            "127.0.0.1:1",
        ),
        (
            "an end with a code",
            |spec| spec["command"] = json!(["sh", "-c", "echo about to fail; exit 3"]),
            "gate",
            "code 3",
        ),
        (
            "a command that is not there",
            |spec| spec["command"] = json!(["/no/such/thing"]),
            "start",
            "/no/such/thing",
        ),
        (
            "ill health",
            |spec| {
                spec["health"] = json!({"docker": {
                    "test": ["CMD-SHELL", "echo not well; exit 1"],
                    "interval_ms": 1000, "timeout_ms": 1000, "retries": 1}});
            },
            "gate",
            "unhealthy",
        ),
        (
            "a probe that is refused",
            |spec| spec["health"] = json!({"tcp": {"port": 81}, "timeout_ms": 1000}),
            "gate",
            "probe",
        ),
    ];
    for (what, change, step, reason) in cases {
        bench
            .update("shop", |spec| {
                spec.clone_from(&good);
                change(spec);
            })
            .await;
        let deploy = bench.deploy("shop").await;
        assert_eq!(deploy["status"], "failed", "{what}: {deploy}");
        let failure = &deploy["failure"];
        assert_eq!(failure["step"], step, "{what}: {failure}");
        let said = failure["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{what}: {said}");
        assert_eq!(bench.running("shop"), "shop-prod-1-0", "{what}");
        match what {
            "an end with a code" => {
                assert_eq!(failure["exit_code"], 3);
                assert!(
                    failure["log_tail"].to_string().contains("about to fail"),
                    "{failure}"
                );
            }
            "ill health" => {
                assert!(
                    failure["health_output"].to_string().contains("not well"),
                    "{failure}"
                );
            }
            _ => {}
        }
    }
    bench.server.stop().await;
}

#[tokio::test]
async fn a_published_port_is_handed_over_with_said_downtime_and_given_back_on_failure() {
    let bench = bench().await;
    let port = free_port();
    let ports = json!([{"host": port, "container": 80, "host_ip": "127.0.0.1"}]);
    bench
        .project("site", |spec| {
            spec["ports"] = ports.clone();
            spec["routing"] = json!("stop-first");
        })
        .await;
    assert_eq!(bench.deploy("site").await["status"], "succeeded");
    let url = format!("http://127.0.0.1:{port}/");
    let body = || async {
        reqwest::get(&url)
            .await
            .expect("served")
            .text()
            .await
            .expect("text")
    };
    assert_eq!(body().await.trim(), "one");

    bench
        .update("site", |spec| {
            spec["env"] = json!([{"name": "WORD", "value": "two"}])
        })
        .await;
    let deploy = bench.deploy("site").await;
    assert_eq!(deploy["status"], "succeeded", "{deploy}");
    assert_eq!(
        (&deploy["strategy"], &deploy["plan"]["downtime"]),
        (&json!("stop-first"), &json!(true))
    );
    assert_eq!(body().await.trim(), "two");

    bench
        .update("site", |spec| {
            spec["command"] = json!(["sh", "-c", "exit 7"])
        })
        .await;
    let deploy = bench.deploy("site").await;
    assert_eq!(deploy["status"], "failed");
    assert_eq!(deploy["failure"]["exit_code"], 7);
    let restored = deploy["steps"].as_array().expect("steps").iter();
    let restored = restored.filter(|step| step["name"] == "restore").count();
    assert_eq!(restored, 1, "{deploy}");
    assert_eq!(body().await.trim(), "two", "the old one serves again");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_port_that_somebody_else_holds_fails_by_its_number() {
    let bench = bench().await;
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = holder.local_addr().expect("bound").port();
    let ports = json!([{"host": port, "container": 80, "host_ip": "127.0.0.1"}]);
    bench
        .project("late", |spec| spec["ports"] = ports.clone())
        .await;
    let deploy = bench.deploy("late").await;
    assert_eq!(deploy["status"], "failed");
    let reason = deploy["failure"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&port.to_string()), "{reason}");
    bench.server.stop().await;
}

#[tokio::test]
async fn a_new_port_that_cannot_be_had_brings_the_old_instance_back() {
    let bench = bench().await;
    let port = free_port();
    let ports = |port| json!([{"host": port, "container": 80, "host_ip": "127.0.0.1"}]);
    bench
        .project("moving", |spec| spec["ports"] = ports(port))
        .await;
    assert_eq!(bench.deploy("moving").await["status"], "succeeded");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let held = holder.local_addr().expect("bound").port();
    bench
        .update("moving", |spec| spec["ports"] = ports(held))
        .await;
    let deploy = bench.deploy("moving").await;
    assert_eq!(deploy["status"], "failed");
    let reason = deploy["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&held.to_string()), "{reason}");
    assert_eq!(bench.running("moving"), "moving-prod-1-0");
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(answer.expect("served").status(), 200);
    bench.server.stop().await;
}

#[tokio::test]
async fn the_first_success_after_a_failure_says_that_the_stage_is_well_again() {
    let bench = bench().await;
    bench.project("patient", |_| {}).await;
    let fails = |spec: &mut Value| spec["command"] = json!(["sh", "-c", "exit 3"]);
    let good = |spec: &mut Value| spec["command"] = json!(null);
    let last_word = async |deploy: Value| {
        let told = bench.last_word(&deploy).await;
        (told["status"].clone(), told["recovered"].clone())
    };
    let succeeded = json!("succeeded");
    let first = bench.deploy("patient").await;
    assert_eq!(last_word(first).await, (succeeded.clone(), Value::Null));

    bench.update("patient", fails).await;
    let failed = bench.deploy("patient").await;
    assert_eq!(last_word(failed).await, (json!("failed"), Value::Null));
    // One that is called off says nothing of how the stage is.
    bench.update("patient", good).await;
    let slow = |spec: &mut Value| spec["health"] = json!({"min_uptime_ms": 60_000});
    bench.update("patient", slow).await;
    let cancelled = bench.start("patient").await;
    bench.reaches(cancelled, "gating").await;
    bench.cancel(cancelled).await;
    let cancelled = bench.ended(cancelled).await;
    assert_eq!(last_word(cancelled).await.0, "cancelled");

    let quick = |spec: &mut Value| spec["health"] = json!({"http": {"port": 80}});
    bench.update("patient", quick).await;
    let well = bench.deploy("patient").await;
    assert_eq!(last_word(well).await, (succeeded.clone(), json!(true)));
    let next = bench.deploy("patient").await;
    assert_eq!(last_word(next).await, (succeeded, Value::Null));
    bench.server.stop().await;
}
