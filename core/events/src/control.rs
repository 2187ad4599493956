//! What a stream says about itself, besides events: frames with an `event:`.

use rand::Rng;
use serde_json::{Value, json};
use tiny_forge_model::{Position, Timestamp};

/// The first frame of a stream.
#[derive(Debug, Clone)]
pub struct Hello {
    pub head: Position,
    /// The oldest event that could still be replayed.
    pub oldest: Position,
    /// The stream goes on from where the client was.
    pub resumed: bool,
    /// Events between there and the head, matching or not.
    pub missed: i64,
    /// Names this stream, for `/api/subscriptions`.
    pub subscription: String,
}

/// Why a client must load its state anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetReason {
    /// Retention has removed what it needs.
    Retention,
    /// The id is of another journal: history was lost or restored.
    ForeignJournal,
    /// The id is not known here yet.
    Ahead,
}

impl ResetReason {
    pub const ALL: [Self; 3] = [Self::Retention, Self::ForeignJournal, Self::Ahead];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::ForeignJournal => "foreign_journal",
            Self::Ahead => "ahead",
        }
    }
}

impl Hello {
    pub fn data(&self) -> Value {
        json!({
            "head": self.head.to_string(),
            "oldest": self.oldest.to_string(),
            "resumed": self.resumed,
            "missed": self.missed,
            "subscription": self.subscription,
        })
    }

    /// With the time after which to come back, should the stream break.
    pub fn frame(&self) -> String {
        let retry_ms = rand::rng().random_range(500..1_500);
        format!("retry: {retry_ms}\n{}", frame("hello", None, &self.data()))
    }
}

/// Heartbeat, watchdog of the client and point to resume from, in one.
pub fn bookmark(at: &Position, time: Timestamp) -> String {
    frame("bookmark", Some(at), &json!({ "time": time }))
}

/// Something is missing; the stream goes on from `head`.
pub fn reset(reason: ResetReason, head: &Position) -> String {
    let data = json!({"reason": reason.as_str(), "head": head.to_string()});
    frame("reset", Some(head), &data)
}

/// Tells a client that there is no more to come, so that it does not return.
pub fn end() -> String {
    frame("end", None, &json!({}))
}

/// Clients of a server that stops come back at different times.
pub fn farewell() -> String {
    let retry_ms = rand::rng().random_range(500..5_000);
    format!("retry: {retry_ms}\n: the server is stopping\n\n")
}

fn frame(event: &str, id: Option<&Position>, data: &Value) -> String {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("{id}event: {event}\ndata: {data}\n\n")
}
