use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::{Position, Timestamp};

/// `data` of a stream's first frame, `hello`: where the journal stands, and whether this is a
/// resume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hello {
    /// The newest event, as `id:` has it.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub head: Position,
    /// The oldest event that could still be replayed.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub oldest: Position,
    /// The stream goes on from where the client was.
    pub resumed: bool,
    /// Events between there and the head, matching or not.
    pub missed: i64,
    /// Names this stream, for `/api/subscriptions`.
    pub subscription: String,
}

/// `data` of a `bookmark`: heartbeat and, by the frame's id, a point to resume from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Bookmark {
    pub time: Timestamp,
}

/// `data` of a `reset`: something is missing, and the stream goes on from `head`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reset {
    pub reason: ResetReason,
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub head: Position,
}

/// Why a client must load its state anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
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

fn as_text<S: Serializer>(position: &Position, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(position)
}
