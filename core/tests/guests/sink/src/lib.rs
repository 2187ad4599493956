//! A sink that posts all that the contract tells it of a delivery. Its `.wasm` of
//! each contract is kept: see `core/tests/it/plugins/golden/README.md`.

use serde::Deserialize;
use tiny_forge_plugin::http::{Error, Request};
use tiny_forge_plugin::{Delivery, Description, Outcome, Plugin, Sink, json, log, sign};

#[derive(Deserialize)]
struct Post {
    url: String,
}

impl Plugin for Post {
    fn describe() -> Description {
        tiny_forge_plugin::description!()
            .config_schema(r#"{"type":"object","required":["url"]}"#)
            .http("https://hooks.example")
            .secret("TOKEN")
    }
}

impl Sink for Post {
    fn deliver(&mut self, delivery: &Delivery) -> Outcome {
        match Request::get("https://never.example/").send() {
            Err(Error::Denied(line)) => log::debug(format_args!("denied: {line}")),
            other => log::error(format_args!("not denied: {other:?}")),
        }
        let signature = match sign::hmac_sha256("TOKEN", delivery.id.as_bytes()) {
            Ok(bytes) => hex(&bytes),
            Err(error) => return Outcome::reject(error.to_string()),
        };
        let body = json!({
            "delivery": delivery.id,
            "attempt": delivery.attempt,
            "has_first_attempt": delivery.first_attempt.ends_with('Z'),
            "test": delivery.test,
            "public_url": delivery.public_url,
            "events": delivery.events,
        });
        Request::post(&self.url)
            .header("Authorization", "Bearer {secret:TOKEN}")
            .header("X-Signature", signature)
            .json(&body)
            .send()
            .into()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

tiny_forge_plugin::export_sink!(Post);
