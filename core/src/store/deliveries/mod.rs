//! Deliveries and their attempts: `write` keeps what waits and what came of it, `bounds`
//! how much of that stays, `replay` lets dead letters wait again, `read` is what sinks and
//! people ask for.

mod bounds;
mod read;
mod replay;
mod write;

pub use replay::{REPLAYED_AT_ONCE, Replay};

use crate::model::{AttemptOutcome, Delivery, DeliveryState, EventId, Timestamp};

/// A sealed list of events, on its way to a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    pub id: String,
    pub pipeline: String,
    pub sink: String,
    pub subject: String,
    pub events: Vec<EventId>,
    /// JSON of the events as the sink gets them.
    pub input: String,
}

/// The delivery that a sink has to make next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedDelivery {
    pub delivery: Delivery,
    /// Since it was made, or put back by hand.
    pub first_attempt: Option<Timestamp>,
    pub last_attempt: Option<Timestamp>,
    /// Attempts since it was made or put back.
    pub tries: u32,
    /// The last of them on which the plugin itself failed, one after the other.
    pub faults: u32,
    pub input: String,
}

impl NewDelivery {
    /// As its sink gets it, which has not seen it before.
    pub fn queued(&self) -> QueuedDelivery {
        QueuedDelivery {
            delivery: Delivery {
                id: self.id.clone(),
                pipeline: self.pipeline.clone(),
                sink: self.sink.clone(),
                status: DeliveryState::Pending,
                events: self.events.clone(),
                attempts: 0,
                created_at: Timestamp::now(),
                delivered_at: None,
                next_attempt_at: None,
                latency_ms: None,
                last_error: None,
                version: None,
                digest: None,
            },
            first_attempt: None,
            last_attempt: None,
            tries: 0,
            faults: 0,
            input: self.input.clone(),
        }
    }
}

/// What an attempt came to, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    pub at: Timestamp,
    pub latency_ms: i64,
    pub outcome: AttemptOutcome,
    pub reason: Option<String>,
    /// Version and digest of the sink that made it.
    pub by: Option<(String, String)>,
    pub next: AfterAttempt,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterAttempt {
    Delivered,
    RetryAt(Timestamp),
    Dead,
    /// Its events go on in these.
    Split(Vec<NewDelivery>),
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    pub sinks: Vec<String>,
    pub pipelines: Vec<String>,
    pub statuses: Vec<DeliveryState>,
    /// Only those made before this one.
    pub before: Option<i64>,
    pub limit: usize,
}
