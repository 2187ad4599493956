use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    query::{Query, accepts},
    serve::Connection,
    stream::{self, Wanted},
};
use crate::{
    events::{Filter, Frame, Start},
    model::{Event, EventId, Position},
    store::PageRequest,
};

const PARAMETERS: &[&str] = &[
    "type", "project", "stage", "instance", "deploy", "severity", "logs", "after", "before",
    "order", "limit", "coalesce",
];

/// A page of events.
#[derive(Serialize, ToSchema)]
pub struct EventPage {
    #[schema(value_type = Vec<Event>)]
    items: Vec<Box<RawValue>>,
    /// `after` of the next page; with `order=desc`, its `before`.
    next: Option<String>,
    /// The newest event that this page could contain.
    as_of: Position,
}

/// Events as they happen (`text/event-stream`, the default), or a page of past ones.
#[utoipa::path(get, path = "/api/events", tag = "events",
    params(
        ("type" = Option<String>, Query, description = "Event types, comma-separated; without `type` or `deploy`: all but `deploy_log`"),
        ("project" = Option<String>, Query), ("stage" = Option<String>, Query),
        ("instance" = Option<String>, Query, description = "Container names"),
        ("deploy" = Option<String>, Query, description = "Numbers of deploys"),
        ("severity" = Option<String>, Query, description = "Least severity"),
        ("logs" = Option<String>, Query, description = "Numbers of deploys whose log lines come besides, whatever the other filters say"),
        ("coalesce" = Option<u64>, Query, description = "For streams: of the events about one subject within so many milliseconds (100 to 60000) only the last of each type; log lines all come"),
        ("after" = Option<String>, Query, description = "Start after this id; the header `Last-Event-ID` wins"),
        ("before" = Option<i64>, Query, description = "With `order=desc`: only ids below"),
        ("order" = Option<String>, Query, description = "`asc` or `desc`, for pages"),
        ("limit" = Option<usize>, Query, description = "1 to 500, for pages")),
    responses((status = 200, body = EventPage), (status = 400, body = super::Problem)))]
pub async fn list(
    State(state): State<ApiState>,
    connection: Connection,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    query.only(PARAMETERS)?;
    let filter = query.filter()?;
    if accepts(&headers, "application/json") && !accepts(&headers, "text/event-stream") {
        return Ok(Json(page(&state, filter, &query).await?).into_response());
    }
    let start = query.start(&headers, Start::Live)?;
    let wanted = Wanted {
        coalesce: query.coalesce()?,
        ..Wanted::new(filter, start)
    };
    stream::open(&state, connection, wanted).await
}

/// One event, with what enrichers added to it.
#[utoipa::path(get, path = "/api/events/{id}", tag = "events",
    params(("id" = i64, Path)),
    responses((status = 200, body = Event), (status = 404, body = super::Problem)))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<i64>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let found = state
        .store
        .read(move |reader| {
            let Some(frame) = reader.event(EventId(id))? else {
                return Ok(None);
            };
            Ok(Some((frame, reader.annotations(EventId(id))?)))
        })
        .await?;
    let (frame, annotations) = found.ok_or_else(|| ApiError::not_found("event", id))?;
    let mut event: serde_json::Value =
        serde_json::from_str(frame.json()).map_err(crate::store::StoreError::from)?;
    let merged = annotations
        .into_iter()
        .map(|(plugin, json)| Ok((plugin, serde_json::from_str(&json)?)))
        .collect::<Result<serde_json::Map<_, _>, serde_json::Error>>();
    event["annotations"] = merged.map_err(crate::store::StoreError::from)?.into();
    Ok(Json(event))
}

async fn page(state: &ApiState, filter: Filter, query: &Query) -> Result<EventPage, ApiError> {
    let limit = query.limit()?;
    match query.text("order").unwrap_or("asc") {
        "asc" => page_ascending(state, filter, query, limit).await,
        "desc" => page_descending(state, filter, query, limit).await,
        other => Err(ApiError::bad_request(format!(
            "parameter `order`: `{other}` is neither `asc` nor `desc`"
        ))),
    }
}

async fn page_ascending(
    state: &ApiState,
    filter: Filter,
    query: &Query,
    limit: usize,
) -> Result<EventPage, ApiError> {
    let after = match query.start(&HeaderMap::new(), Start::After(EventId(0)))? {
        Start::Live => EventId(0),
        Start::After(id) | Start::Resume(Position { id, .. }) => id,
    };
    let (page, as_of) = state
        .store
        .read(move |reader| {
            let page = reader.journal_page(&filter, &PageRequest::new(after, limit))?;
            Ok((page, reader.head()?))
        })
        .await?;
    let more = page.scanned_to < page.head;
    let next = more.then(|| page.scanned_to.to_string());
    Ok(EventPage {
        items: raw(&page.frames().collect::<Vec<_>>()),
        next,
        as_of,
    })
}

async fn page_descending(
    state: &ApiState,
    filter: Filter,
    query: &Query,
    limit: usize,
) -> Result<EventPage, ApiError> {
    let before = query.parsed::<i64>("before", "an event id")?.map(EventId);
    let (frames, as_of) = state
        .store
        .read(move |reader| {
            Ok((
                reader.journal_before(&filter, before, limit)?,
                reader.head()?,
            ))
        })
        .await?;
    let full = frames.len() == limit;
    let next = frames
        .last()
        .filter(|_| full)
        .map(|frame| frame.id().to_string());
    Ok(EventPage {
        items: raw(&frames),
        next,
        as_of,
    })
}

/// The stored JSON, as it is.
fn raw(frames: &[Frame]) -> Vec<Box<RawValue>> {
    let json = frames
        .iter()
        .map(|frame| RawValue::from_string(frame.json().to_owned()));
    json.collect::<Result<_, _>>().unwrap_or_default()
}
