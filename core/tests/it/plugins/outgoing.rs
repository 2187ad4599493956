//! What plugins may reach, as operators set it up.

use serde_json::{Value, json};

use super::Host;
use crate::support::{
    binary::Binary,
    folder::{put, webhook},
    program::{NO_ENGINE, Program},
    server::Server,
    target::Target,
};

#[tokio::test]
async fn an_engine_over_tcp_is_reached_by_no_plugin() {
    let engine = Target::start().await;
    let address = engine.origin().replace("http://", "tcp://");
    let server = Server::configured(|dir, args| {
        put(
            &dir.join("plugins"),
            "hook.toml",
            webhook("hook", "builtin:webhook", &engine),
        );
        args.engine = Some(address);
    })
    .await;
    let events = server.sse("/api/events?after=0").await;
    let target = Target::start().await;
    let mut host = Host {
        server,
        target,
        events,
    };
    host.plugin_is("hook", "running").await;
    let (_, tested) = host.server.post("/api/plugins/hook/test", &json!({})).await;
    let detail = tested["detail"].as_str().expect("a reason");
    assert!(detail.contains("can be granted to no plugin"), "{tested}");
    // The server itself has asked it, for its version.
    let requests = engine.requests();
    assert!(requests.iter().all(|it| it.path != "/hook"), "{requests:?}");
    host.server.stop().await;
}

#[tokio::test]
async fn our_own_address_is_reached_by_no_plugin_whatever_is_granted() {
    let mut host = Host::start().await;
    let origin = host.server.url("");
    let toml = format!(
        "[plugin.hook]\nfile = \"builtin:webhook\"\nconfig.url = \"{origin}/api/projects\"\n\
         config.sign_with = []\ngrants.http = [\"{origin}\"]\n\
         grants.networks = [\"127.0.0.1/32\"]\n"
    );
    put(&host.folder(), "hook.toml", toml);
    host.plugin_is("hook", "running").await;
    let (_, tested) = host.server.post("/api/plugins/hook/test", &json!({})).await;
    let detail = tested["detail"].as_str().expect("a reason");
    assert!(detail.contains("can be granted to no plugin"), "{tested}");
    assert_eq!(tested["requests"][0]["status"], Value::Null, "{tested}");
    host.server.stop().await;
}

#[tokio::test]
async fn what_is_not_granted_is_told_in_the_servers_own_log_once_with_the_line_to_add() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (target, log) = (Target::start().await, dir.path().join("log"));
    let origin = target.origin();
    let toml = format!(
        "[plugin.hook]\nfile = \"builtin:webhook\"\nconfig.url = \"{origin}/\"\n\
         config.sign_with = []\ngrants.http = [\"{origin}\"]\n"
    );
    put(&dir.path().join("plugins"), "hook.toml", toml);
    let binary = Binary::new().logging_to(&log);
    let program = Program::serve_as(dir.path(), NO_ENGINE, &binary).await;
    let mut events = program.sse("/api/events?after=0", None).await;
    events
        .until(|event| event["type"] == "plugin_status" && event["payload"]["state"] == "running")
        .await;
    for _ in 0..3 {
        let url = format!("{}/api/plugins/hook/test", program.address);
        let tested = program.http.post(url).json(&json!({})).send().await;
        assert_eq!(tested.expect("an answer").status(), 200);
    }
    let line = "a request was denied: grants.networks = [\"127.0.0.1/32\"]";
    let hook = program.json("/api/plugins/hook").await;
    let said = hook["recent_log"].as_array().expect("a log").iter();
    let said: Vec<_> = said.map(|it| (&it["level"], &it["message"])).collect();
    assert_eq!(said, [(&json!("warn"), &json!(line)); 3]);
    program.end(rustix::process::Signal::TERM).await;
    let log = std::fs::read_to_string(&log).expect("a log");
    let told: Vec<&str> = log.lines().filter(|it| it.contains("denied")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    for words in ["WARN", "hook", line] {
        assert!(told[0].contains(words), "{}", told[0]);
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (target, proxy) = (Target::start().await, Target::start().await);
    let toml = webhook("hook", "builtin:webhook", &target)
        + "[pipeline.all]\nwhen.type = \"project_status\"\nsinks = [\"hook\"]\n";
    put(&dir.path().join("plugins"), "hook.toml", toml);
    let names = [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ];
    let binary = names.iter().fold(Binary::new(), |binary, name| {
        binary.with(name, &proxy.origin())
    });
    let program = Program::serve_as(dir.path(), NO_ENGINE, &binary).await;
    let mut events = program.sse("/api/events?after=0", None).await;
    events
        .until(|event| event["type"] == "plugin_status" && event["payload"]["state"] == "running")
        .await;
    let tested = program
        .http
        .post(format!("{}/api/plugins/hook/test", program.address))
        .json(&json!({}));
    assert_eq!(tested.send().await.expect("an answer").status(), 200);
    assert_eq!(target.requests().len(), 1);
    assert_eq!(proxy.requests().len(), 0);
    program.end(rustix::process::Signal::TERM).await;
}
