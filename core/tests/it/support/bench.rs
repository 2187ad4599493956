use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tiny_forge::config::ServeArgs;

use super::{engine::Engine, server::Server, shared::Shared};

/// What a test of deploys works with: the shared engine, a server of its own.
pub struct Bench {
    pub engine: &'static Engine,
    pub server: Server,
    /// The image that projects run.
    pub web: String,
}

/// The shared engine, the image in the shared registry, a server.
pub async fn bench() -> Bench {
    bench_with(&Shared::get().web).await
}

pub async fn bench_with(web: &str) -> Bench {
    with(web, |_| {}).await
}

/// Its server finds the shared engine at this address.
pub async fn bench_at(address: &str) -> Bench {
    bench_where(|args| args.engine = Some(address.to_owned())).await
}

/// Its server is told something else.
pub async fn bench_where(change: impl FnOnce(&mut ServeArgs)) -> Bench {
    with(&Shared::get().web, change).await
}

async fn with(web: &str, change: impl FnOnce(&mut ServeArgs)) -> Bench {
    let engine = &Shared::get().engine;
    let server = Server::configured(|_, args| {
        args.engine = Some(engine.address());
        change(args);
    });
    let server = server.await;
    let mut events = server.sse("/api/events?after=0").await;
    events
        .until(|event| event["payload"]["what"] == "engine_connected")
        .await;
    Bench {
        engine,
        server,
        web: web.to_owned(),
    }
}

impl Bench {
    /// A project that is good as soon as it answers.
    pub async fn project(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut spec = json!({
            "image": self.web,
            "env": [{"name": "WORD", "value": "one"}],
            "health": {"http": {"port": 80}},
            "stop_grace_ms": 2000,
            "bake_ms": 0,
        });
        change(&mut spec);
        let (status, answer) = self
            .server
            .post("/api/projects", &json!({"name": name, "spec": spec}))
            .await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }

    pub async fn update(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let project = self.server.json(&format!("/api/projects/{name}")).await;
        let mut spec = project["stages"][0]["spec"].clone();
        change(&mut spec);
        let path = format!("/api/projects/{name}/stages/prod");
        let (status, answer) = self
            .server
            .send(Method::PUT, &path, &json!({ "spec": spec }))
            .await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    pub async fn start(&self, name: &str) -> i64 {
        let path = format!("/api/projects/{name}/deploys");
        let (status, deploy) = self.server.post(&path, &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{deploy}");
        deploy["id"].as_i64().expect("an id")
    }

    /// Waits until a deploy has this status.
    pub async fn reaches(&self, id: i64, status: &str) {
        let mut log = self.server.sse(&format!("/api/deploys/{id}/logs")).await;
        log.until(|event| event["payload"]["status"] == status)
            .await;
    }

    pub async fn cancel(&self, id: i64) {
        let path = format!("/api/deploys/{id}/cancel");
        let (status, answer) = self.server.post(&path, &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }

    /// When a container was started.
    pub fn started(&self, container: &str) -> String {
        let format = "{{.State.StartedAt}}";
        self.engine
            .docker(&["inspect", container, "--format", format])
    }

    pub fn restart_policy(&self, container: &str) -> String {
        let format = "{{.HostConfig.RestartPolicy.Name}}";
        self.engine
            .docker(&["inspect", container, "--format", format])
    }

    /// Follows a deploy to its end; the deploy as it is then.
    pub async fn ended(&self, id: i64) -> Value {
        let mut log = self.server.sse(&format!("/api/deploys/{id}/logs")).await;
        while log.event().await.is_some() {}
        self.server.json(&format!("/api/deploys/{id}")).await
    }

    pub async fn deploy(&self, name: &str) -> Value {
        let id = self.start(name).await;
        self.ended(id).await
    }

    /// What the last event of a deploy tells.
    pub async fn last_word(&self, deploy: &Value) -> Value {
        let path = format!("/api/events/{}", deploy["last_event"]);
        self.server.json(&path).await["payload"].take()
    }

    /// Names of the running containers of a project.
    pub fn running(&self, project: &str) -> String {
        let label = format!("label=tiny-forge.project={project}");
        self.engine
            .docker(&["ps", "--filter", &label, "--format", "{{.Names}}"])
    }

    pub async fn log(&self, id: &Value) -> String {
        let url = self.server.url(&format!("/api/deploys/{id}/logs.txt"));
        self.server
            .http
            .get(url)
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text")
    }
}
