use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EventId, Timestamp};

/// Where a delivery stands. The last three are terminal, but a dead one can be
/// replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Pending,
    /// The target did not take it yet; there will be another attempt.
    Retrying,
    Delivered,
    /// A dead letter: it will not be tried again by itself.
    Dead,
    /// The target refused its events together: they go on in two halves.
    Split,
}

/// What came of a wish to have a sink's dead letters tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replayed {
    pub replayed: usize,
    /// Those that its queue has no room for.
    pub left: usize,
}

impl DeliveryState {
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Retrying,
        Self::Delivered,
        Self::Dead,
        Self::Split,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Split => "split",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A sealed list of events for one sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Constant over all attempts, also after a crash.
    pub id: String,
    pub pipeline: String,
    pub sink: String,
    pub status: DeliveryState,
    pub events: Vec<EventId>,
    pub attempts: u32,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// How long the last attempt took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<i64>,
    /// Why the last attempt failed, in the target's or the plugin's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Of the sink as it made the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SHA-256 of that file, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A delivery with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryDetail {
    #[serde(flatten)]
    pub delivery: Delivery,
    /// The newest hundred, oldest first; `attempts` counts all.
    pub attempt_list: Vec<Attempt>,
}

/// One try to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    pub at: Timestamp,
    pub outcome: AttemptOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub latency_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    Ok,
    /// The target asked to try again later.
    Retry,
    /// The target will never take it.
    Reject,
    /// The plugin itself failed.
    Fault,
}

impl AttemptOutcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Fault => "fault",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Retry, Self::Reject, Self::Fault]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// What came of a test that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestOutcome {
    pub outcome: AttemptOutcome,
    /// What the plugin says of it, in the target's words where it has them.
    pub detail: String,
    pub latency_ms: i64,
    /// The HTTP requests it made, in order.
    pub requests: Vec<TestRequest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestRequest {
    pub method: String,
    /// Without the values of secrets.
    pub url: String,
    /// Absent when there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}
