//! Event streams that are open: to be looked at, and to be changed while they
//! run, so that one stream per tab serves all of its pages.

mod filter;
mod registry;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    body::Body,
    list::List,
    path::Path,
    query::{Query, within_reason},
};
use crate::{
    events::Progress,
    model::{Position, Principal, Timestamp},
};
use filter::FilterView;
use registry::Entry;
pub use registry::{Entered, Limits, Link, Newcomer, Registry};

/// An open event stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct Subscription {
    /// As `hello` says it.
    pub id: String,
    /// Who opened it.
    pub principal: String,
    /// Address of the client, or of the proxy before it.
    pub client: String,
    pub since: Timestamp,
    pub filter: FilterView,
    pub transport: Transport,
    /// Everything up to here was sent or did not match.
    pub after: Position,
    /// Events between there and the head, matching or not.
    pub lag: i64,
    pub sent_bytes: u64,
}

/// How a stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// By a fan-out thread, straight to the socket.
    Socket,
    /// As the body of a response, e.g. over HTTP/2.
    Body,
}

/// A stream's new filter, and since when it holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changed {
    pub filter: FilterView,
    /// Events after this one are chosen by the new filter. A snapshot that is
    /// loaded after this answer joins without a gap.
    pub from: Position,
}

/// Event streams that are open, the oldest first.
#[utoipa::path(get, path = "/api/subscriptions", tag = "events",
    params(("cursor" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = List<Subscription>)))]
pub async fn list(
    State(state): State<ApiState>,
    query: Query,
) -> Result<Json<List<Subscription>>, ApiError> {
    query.only(&["cursor", "limit"])?;
    let after = query.parsed::<u64>("cursor", "the cursor of a page")?;
    let limit = query.limit()?;
    let entries = state.subscriptions().page(after.unwrap_or(0), limit);
    let next = entries
        .last()
        .filter(|_| entries.len() == limit)
        .map(|last| last.number.to_string());
    let progress = registry::progress(&state.fanout, &entries).await;
    let as_of = state.bus.head();
    let pairs = entries.into_iter().zip(progress);
    // One that has ended while it was asked is no more.
    let open = pairs.filter_map(|(entry, progress)| Some((entry, progress?)));
    Ok(Json(List {
        items: open
            .map(|(entry, progress)| subscription(entry, &progress, &as_of))
            .collect(),
        next,
        as_of,
    }))
}

fn subscription(entry: Entry, progress: &Progress, head: &Position) -> Subscription {
    Subscription {
        transport: entry.link.transport(),
        id: entry.id,
        principal: entry.principal.actor().name,
        client: entry.client.to_string(),
        since: entry.since,
        filter: FilterView::from(&progress.filter),
        lag: (head.id.0 - progress.after.0).max(0),
        after: Position {
            id: progress.after,
            ..head.clone()
        },
        sent_bytes: progress.sent_bytes,
    }
}

/// Changes what an open stream lets through.
#[utoipa::path(post, path = "/api/subscriptions/{id}", tag = "events",
    params(("id" = String, Path, description = "`subscription` of the stream's `hello`")),
    request_body = FilterView,
    responses((status = 200, body = Changed), (status = 404, body = super::Problem),
        (status = 422, body = super::Problem)))]
pub async fn change(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Body(view): Body<FilterView>,
) -> Result<Json<Changed>, ApiError> {
    let unknown = || ApiError::not_found("event stream", &id);
    let entry = state.subscriptions().find(&id, &Principal::Local);
    let entry = entry.ok_or_else(unknown)?;
    let filter = entry.link.narrow(within_reason(view.filter())?);
    let view = FilterView::from(&filter);
    let changed = entry.link.change(filter).await;
    let from = changed.map_err(|_| unknown())?;
    Ok(Json(Changed {
        filter: view,
        from: Position {
            id: from,
            ..state.bus.head()
        },
    }))
}
