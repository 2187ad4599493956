//! A sink: posts events as JSON to an address of the operator, signed as
//! [Standard Webhooks](https://www.standardwebhooks.com) 1.0 says, so that any of
//! its libraries can verify them.

mod fit;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tiny_forge_plugin::http::Request;
use tiny_forge_plugin::{
    Delivery, Description, FieldError, HostError, Outcome, Plugin, Sink, clock, sign,
};

use fit::{Fitting, fitting};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    url: String,
    #[serde(default = "default_secrets")]
    sign_with: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn default_secrets() -> Vec<String> {
    vec!["WEBHOOK_SECRET".to_owned()]
}

/// The body; the same at every attempt.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    delivery: &'a str,
    test: bool,
    events: Vec<Fitting<'a>>,
}

/// Set by the server for each connection.
const HOST_HEADERS: [&str; 11] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "proxy-authorization",
    "accept-encoding",
    "range",
    "if-range",
];

/// Set by us, so not by the operator.
const OUR_HEADERS: [&str; 4] = [
    "content-type",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

impl Plugin for Webhook {
    fn describe() -> Description {
        tiny_forge_plugin::description!().config_schema(include_str!("../config.schema.json"))
    }

    fn check(&self) -> Vec<FieldError> {
        let problem = |name: &String| {
            let why = problem_of(&name.to_ascii_lowercase())?;
            Some(FieldError::new(format!("/headers/{name}"), why))
        };
        self.headers.keys().filter_map(problem).collect()
    }
}

/// Why a request cannot have this header, in lower case.
fn problem_of(name: &str) -> Option<&'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if OUR_HEADERS.contains(&name) {
        Some("is set by the plugin itself")
    } else if HOST_HEADERS.contains(&name) {
        Some("is set by the server itself")
    } else if name.is_empty() || !name.bytes().all(is_token) {
        Some("is no name for a header")
    } else {
        None
    }
}

impl Sink for Webhook {
    fn deliver(&mut self, delivery: &Delivery) -> Outcome {
        let body = match body_of(delivery) {
            Ok(body) => body,
            Err(error) => return Outcome::reject(format!("an event is no JSON: {error}")),
        };
        let timestamp = (clock::now_ms() / 1000).to_string();
        let signature = match self.signature(&delivery.id, &timestamp, &body) {
            Ok(signature) => signature,
            // The operator can still give the secret: nothing is lost until then.
            Err(error) => return Outcome::retry(format!("cannot sign: {error}")),
        };

        let mut request = Request::post(&self.url)
            .header("Content-Type", "application/json")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", timestamp);
        if let Some(signature) = signature {
            request = request.header("webhook-signature", signature);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(body).send().into()
    }
}

impl Webhook {
    /// `v1,<base64>` for each secret, with spaces between; none without secrets.
    fn signature(
        &self,
        id: &str,
        timestamp: &str,
        body: &[u8],
    ) -> Result<Option<String>, HostError> {
        if self.sign_with.is_empty() {
            return Ok(None);
        }
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        let signatures = self
            .sign_with
            .iter()
            .map(|secret| {
                let mac = sign::hmac_sha256(secret, &signed)?;
                Ok(format!("v1,{}", STANDARD.encode(mac)))
            })
            .collect::<Result<Vec<_>, HostError>>()?;
        Ok(Some(signatures.join(" ")))
    }
}

/// As it is sent, so as it is signed.
fn body_of(delivery: &Delivery) -> Result<Vec<u8>, serde_json::Error> {
    let events = delivery.events.iter().map(fitting);
    serde_json::to_vec(&Body {
        r#type: "events",
        timestamp: &delivery.first_attempt,
        data: Data {
            delivery: &delivery.id,
            test: delivery.test,
            events: events.collect::<Result<_, _>>()?,
        },
    })
}

tiny_forge_plugin::export_sink!(Webhook);

#[cfg(test)]
mod tests;
