//! Plugins over files, HTTP and the services they send to.

mod absent;
mod canary;
mod contain;
mod deliver;
mod dry_run;
mod examples;
mod folder;
mod forgotten;
mod golden;
mod hostile;
mod image;
mod messages;
mod metrics;
mod outgoing;
mod overflow;
mod overtaken;
mod planned;
mod poison;
mod reloads;
mod replace;
mod restart;
mod secrets;
mod throttle;
mod trace;
mod trust;

use std::path::PathBuf;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    server::Server,
    sse::Sse,
    target::{Received, Target},
    wait,
};

/// A server, its plugins folder, a service to send to, and all events.
struct Host {
    server: Server,
    target: Target,
    events: Sse,
}

impl Host {
    async fn start() -> Self {
        Self::on(Server::start().await).await
    }

    async fn on(server: Server) -> Self {
        let events = server.sse("/api/events?after=0").await;
        Self {
            target: Target::start().await,
            server,
            events,
        }
    }

    /// Another life on the same data.
    async fn restarted(self) -> Self {
        drop(self.events);
        let server = self.server.restart().await;
        let events = server.sse("/api/events?after=0").await;
        Self {
            server,
            events,
            target: self.target,
        }
    }

    fn folder(&self) -> PathBuf {
        self.server.dir.path().join("plugins")
    }

    /// Waits until a plugin says that it is in this state.
    async fn plugin_is(&mut self, name: &str, state: &str) -> Value {
        let is_it = |event: &Value| {
            event["type"] == "plugin_status"
                && event["payload"]["plugin"] == name
                && event["payload"]["state"] == state
        };
        self.events.until(is_it).await;
        self.server.json(&format!("/api/plugins/{name}")).await
    }

    /// Waits until a delivery says that it is in this state.
    async fn delivery_is(&mut self, state: &str) -> Value {
        let is_it = |event: &Value| {
            event["type"] == "delivery_status" && event["payload"]["status"] == state
        };
        let told = self.events.until(is_it).await;
        let id = told["payload"]["delivery"].as_str().expect("an id");
        self.server.json(&format!("/api/deliveries/{id}")).await
    }

    /// Waits until a pipeline is as `wanted` says.
    async fn pipeline(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.listed("/api/pipelines", wanted).await
    }

    /// Waits until a list of the API has an item as `wanted` says.
    async fn listed(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut listed = Value::Null;
        let found = wait::answer(async || {
            listed = self.server.json(path).await;
            let items = listed["items"].as_array().expect("items");
            items.iter().find(|item| wanted(item)).cloned()
        });
        let found = found.await;
        found.unwrap_or_else(|| panic!("{path} stays as it is: {listed}"))
    }
}

/// Publishes one event: a project is made.
async fn publish(server: &Server, project: &str) {
    let body = json!({"name": project, "spec": {"image": "none"}});
    let (status, answer) = server.post("/api/projects", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

/// The projects that the requests at a target tell of, in order.
fn projects_told(requests: &[Received]) -> Vec<String> {
    let told = requests.iter().flat_map(|request| {
        let body = request.json();
        let events = body["data"]["events"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        events
            .into_iter()
            .filter_map(|event| Some(event["payload"]["project"].as_str()?.to_owned()))
    });
    told.collect()
}
