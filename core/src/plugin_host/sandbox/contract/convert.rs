//! Between the host's own types and those of the contract.

use serde_json::{Map, Value};

use super::v1;
use crate::{
    model::{Asked, Severity},
    plugin_host::sandbox::{
        Decision, DeliveryContext, DeliveryOutcome, Description, FieldError, GuestEvent,
    },
};

pub fn event(event: &GuestEvent) -> v1::types::Event<'_> {
    let GuestEvent {
        id,
        kind,
        time,
        node,
        subject,
        severity,
        actor,
        cause,
        payload,
        annotations,
    } = event;
    v1::types::Event {
        id: *id,
        type_: kind,
        time,
        node,
        subject,
        severity: match severity {
            Severity::Debug => v1::types::Severity::Debug,
            Severity::Info => v1::types::Severity::Info,
            Severity::Warning => v1::types::Severity::Warning,
            Severity::Error => v1::types::Severity::Error,
            Severity::Critical => v1::types::Severity::Critical,
        },
        actor,
        cause: *cause,
        payload,
        annotations,
    }
}

pub fn context(context: &DeliveryContext) -> v1::sink_role::Context<'_> {
    let DeliveryContext {
        delivery_id,
        attempt,
        first_attempt,
        test,
        public_url,
    } = context;
    v1::sink_role::Context {
        delivery_id,
        attempt: *attempt,
        first_attempt,
        test: *test,
        public_url: public_url.as_deref(),
    }
}

pub fn description(answer: v1::plugin::Description) -> Result<Description, String> {
    let v1::plugin::Description {
        name,
        version,
        description,
        config_schema,
        capabilities,
    } = answer;
    let config_schema = object(&config_schema)
        .map_err(|problem| format!("the `config-schema` of `describe`: {problem}"))?;
    Ok(Description {
        name,
        version,
        description,
        config_schema: Value::Object(config_schema),
        asked: Asked {
            http: capabilities.http,
            secrets: capabilities.secrets,
            store: capabilities.store,
        },
    })
}

pub fn field_errors(errors: Vec<v1::plugin::FieldError>) -> Vec<FieldError> {
    let errors = errors.into_iter();
    errors
        .map(|v1::plugin::FieldError { field, message }| FieldError { field, message })
        .collect()
}

pub fn decision(decision: v1::filter_role::Decision) -> Decision {
    match decision {
        v1::filter_role::Decision::Keep => Decision::Keep,
        v1::filter_role::Decision::Drop(reason) => Decision::Drop(reason),
    }
}

pub fn outcome(outcome: v1::sink_role::Outcome) -> DeliveryOutcome {
    match outcome {
        v1::sink_role::Outcome::Ok => DeliveryOutcome::Ok,
        v1::sink_role::Outcome::Retry(retry) => DeliveryOutcome::Retry {
            after_ms: retry.after_ms,
            reason: retry.reason,
        },
        v1::sink_role::Outcome::Reject(reason) => DeliveryOutcome::Reject(reason),
    }
}

/// The error says what was expected.
pub fn object(json: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("expected a JSON object".into()),
        Err(error) => Err(format!("expected a JSON object: {error}")),
    }
}
