//! What crosses between the host and a guest, in the host's own types.

use serde::{Deserialize, Serialize};

use crate::model::{Asked, Severity};

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    pub name: String,
    pub version: String,
    pub description: String,
    /// JSON Schema (2020-12) of the configuration.
    pub config_schema: serde_json::Value,
    pub asked: Asked,
}

/// What is wrong with one field of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer into the configuration; empty for the whole.
    pub field: String,
    pub message: String,
}

/// An event as a guest sees it. Stored as such with a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestEvent {
    pub id: u64,
    #[serde(rename = "type")]
    pub kind: String,
    pub time: String,
    pub node: String,
    pub subject: String,
    pub severity: Severity,
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<u64>,
    /// A JSON object, as text.
    pub payload: String,
    /// A JSON object, as text: enricher → what it added.
    pub annotations: String,
}

/// A filter's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Keep,
    /// With the reason.
    Drop(String),
}

/// What a sink is told of a delivery besides its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryContext {
    /// Constant over all attempts: the idempotency key.
    pub delivery_id: String,
    /// Counts from 1.
    pub attempt: u32,
    /// RFC 3339.
    pub first_attempt: String,
    pub test: bool,
    /// Without a final slash.
    pub public_url: Option<String>,
}

/// What became of a delivery's attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    Ok,
    /// Nothing was accepted; try all of it later.
    Retry {
        after_ms: Option<u64>,
        reason: String,
    },
    /// It will never be accepted.
    Reject(String),
}
