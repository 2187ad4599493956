use serde::Serialize;
use utoipa::ToSchema;

use crate::model::Position;

/// A list, with the event that it is as of: a stream that starts after that
/// event misses nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// `cursor` of the next page.
    pub next: Option<String>,
    pub as_of: Position,
}

/// One thing, with the event that it is as of.
#[derive(Debug, Serialize, ToSchema)]
pub struct AsOf<T> {
    #[serde(flatten)]
    pub item: T,
    pub as_of: Position,
}
