//! What a stream says about itself, besides events.

use rand::Rng;
use serde_json::{Value, json};

use tiny_forge_model::{Bookmark, Hello, Position, Reset, Timestamp};

/// Seconds after which each stream is sent a [`Control::Bookmark`].
pub const BOOKMARK_SECONDS: usize = 15;

#[derive(Debug, Clone)]
pub enum Control {
    /// The first of all; `after` is where the stream begins, unless a reset says it.
    Hello {
        hello: Hello,
        after: Option<Position>,
        retry_ms: u32,
    },
    /// Heartbeat, watchdog of the client and point to resume from, in one.
    Bookmark { at: Position, time: Timestamp },
    /// Something is missing; the stream goes on from `head`.
    Reset(Reset),
    /// There is no more to come, so a client does not return.
    End,
    /// The server stops.
    Farewell { retry_ms: u32 },
}

impl Control {
    pub fn hello(hello: Hello, after: Option<Position>) -> Self {
        let retry_ms = rand::rng().random_range(500..1_500);
        Self::Hello {
            hello,
            after,
            retry_ms,
        }
    }

    /// Clients of a server that stops come back at different times.
    pub fn farewell() -> Self {
        let retry_ms = rand::rng().random_range(500..5_000);
        Self::Farewell { retry_ms }
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Bookmark { .. } => "bookmark",
            Self::Reset(_) => "reset",
            Self::End => "end",
            Self::Farewell { .. } => "farewell",
        }
    }

    /// From where a client that has read this goes on.
    pub const fn position(&self) -> Option<&Position> {
        match self {
            Self::Bookmark { at, .. } => Some(at),
            Self::Reset(reset) => Some(&reset.head),
            Self::Hello { after, .. } => after.as_ref(),
            Self::End | Self::Farewell { .. } => None,
        }
    }

    /// After how long to come back, should the stream break.
    pub const fn retry_ms(&self) -> Option<u32> {
        match self {
            Self::Hello { retry_ms, .. } | Self::Farewell { retry_ms } => Some(*retry_ms),
            Self::Bookmark { .. } | Self::Reset(_) | Self::End => None,
        }
    }

    /// An object.
    pub fn data(&self) -> Value {
        match self {
            Self::Hello { hello, .. } => json!(hello),
            Self::Bookmark { time, .. } => json!(Bookmark { time: *time }),
            Self::Reset(reset) => json!(reset),
            Self::End | Self::Farewell { .. } => json!({}),
        }
    }

    /// As `text/event-stream` has it.
    pub fn sse(&self) -> String {
        let retry = self.retry_ms().map(|ms| format!("retry: {ms}\n"));
        let id = self.position().map(|at| format!("id: {at}\n"));
        let said = if matches!(self, Self::Farewell { .. }) {
            // For the eyes only: what a client needs is the time.
            ": the server is stopping\n\n".to_owned()
        } else {
            format!("event: {}\ndata: {}\n\n", self.name(), self.data())
        };
        retry.unwrap_or_default() + &id.unwrap_or_default() + &said
    }
}
