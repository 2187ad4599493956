use std::io;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    format::{self, Answer, Format, PageFormat},
    path::Path,
    query::Query,
    serve::Connection,
    stream::{self, Ending, Wanted},
};
use crate::{
    events::{Filter, Frame, Gaps, Start},
    model::{
        Deploy, DeployId, Event, EventId, EventType, LogStream, Payload, Position, StepName,
        Timestamp,
    },
    store::{PageRequest, StoreError},
};

/// Lines read at once for `logs.txt`.
const CHUNK_LINES: usize = 5_000;

/// One line of a deploy's log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    pub id: EventId,
    pub time: Timestamp,
    pub stream: LogStream,
    pub step: StepName,
    pub line: String,
}

/// A page of a deploy's log, oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    pub items: Vec<LogLine>,
    /// `after` of the next page.
    pub next: Option<String>,
    /// The deploy has ended: no more lines will come.
    pub ended: bool,
    pub as_of: Position,
}

/// A deploy's log: JSON by default; with `Accept: text/event-stream` (or another
/// form of streams) a stream of its log lines and status from the start, which
/// ends with the deploy.
#[utoipa::path(get, path = "/api/deploys/{id}/logs", tag = "deploys",
    params(("id" = i64, Path), ("after" = Option<String>, Query), ("limit" = Option<usize>, Query),
        ("format" = Option<String>, Query, description = "Of a stream: `plain`, `cloudevents`, `cdevents` (its end, if it succeeds) or `ndjson`")),
    responses(
        (status = 200, description = "the log", content(
            (LogPage = "application/json"), (String = "text/event-stream"), (String = "application/x-ndjson"))),
        (status = 404, body = super::Problem), (status = 406, body = super::Problem)))]
pub async fn list(
    State(state): State<ApiState>,
    Path(id): Path<i64>,
    connection: Connection,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    query.only(&["after", "limit", "format"])?;
    let answer = format::choose(&headers, &query, Answer::Page(PageFormat::Plain))?;
    let deploy = find(&state, DeployId(id)).await?;
    match answer {
        Answer::Stream(format) => {
            return follow(&state, connection, format, &deploy, &query, &headers).await;
        }
        Answer::Page(PageFormat::CloudEvents | PageFormat::CdEvents) => {
            return Err(ApiError::bad_request(
                "a log comes as CloudEvents or CDEvents in a stream only: add `Accept: text/event-stream`",
            ));
        }
        Answer::Page(PageFormat::Plain) => {}
    }
    let start = query.start(&headers, from_the_beginning(&deploy))?;
    let after = start.after(&state.bus.head().journal);
    let after = after.unwrap_or_else(|| before_first(&deploy));
    let (lines, next, as_of) = read(&state, &deploy, after, query.limit()?).await?;
    let ended = deploy.summary.status.is_terminal();
    Ok(Json(LogPage {
        items: lines,
        next: next.map(|id| id.to_string()),
        ended,
        as_of,
    })
    .into_response())
}

/// The whole log as text, a line each.
#[utoipa::path(get, path = "/api/deploys/{id}/logs.txt", tag = "deploys",
    params(("id" = i64, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = super::Problem)))]
pub async fn text(
    State(state): State<ApiState>,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    let deploy = find(&state, DeployId(id)).await?;
    let before = before_first(&deploy);
    let part = async move |after| {
        let (lines, more, _) = read(&state, &deploy, after, CHUNK_LINES).await?;
        let text: String = lines.iter().map(line_of_text).collect();
        Ok::<_, StoreError>((Bytes::from(text), more))
    };
    // The first one shows whether it can be read; the others as the client takes them.
    let (first, mut next) = part(before).await?;
    let text = async_stream::try_stream! {
        yield first;
        while let Some(after) = next {
            let (text, more) = part(after).await?;
            yield text;
            next = more;
        }
    };
    let text = Body::from_stream(text.map_err(|error: StoreError| io::Error::other(error)));
    let name = format!("attachment; filename=\"deploy-{id}.log\"");
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, text).into_response())
}

fn line_of_text(line: &LogLine) -> String {
    let LogLine {
        time, step, line, ..
    } = line;
    format!("{time} {} {line}\n", step.as_str())
}

async fn follow(
    state: &ApiState,
    connection: Connection,
    format: Format,
    deploy: &Deploy,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let id = deploy.summary.id;
    let last = last_event(deploy);
    let start = query.start(headers, from_the_beginning(deploy))?;
    let after = start.after(&state.bus.head().journal);
    if last.is_some_and(|last| after >= Some(last)) {
        return Ok(stream::ended(format));
    }
    let gaps = if start == from_the_beginning(deploy) {
        // Nothing was there before that could be missed.
        Gaps::Pass
    } else {
        Gaps::Reset
    };
    let ending = Ending {
        is_last: Box::new(move |frame| ends_deploy(frame, id)),
        last,
    };
    let wanted = Wanted {
        format,
        gaps,
        ending: Some(ending),
        ..Wanted::new(Filter::deploy(id), start)
    };
    stream::open(state, connection, wanted)
}

/// The event after which nothing more comes of a deploy.
fn ends_deploy(frame: &Frame, id: DeployId) -> bool {
    frame.parts().kind == EventType::DeployStatus
        && frame.parts().deploy == Some(id)
        && match serde_json::from_str::<Event>(frame.json()).map(|event| event.payload) {
            Ok(Payload::DeployStatus(payload)) => payload.status.is_terminal(),
            _ => false,
        }
}

async fn find(state: &ApiState, id: DeployId) -> Result<Deploy, ApiError> {
    let found = state.store.read(move |reader| reader.deploy(id)).await?;
    found.ok_or_else(|| ApiError::not_found("deploy", id))
}

fn from_the_beginning(deploy: &Deploy) -> Start {
    Start::After(before_first(deploy))
}

fn before_first(deploy: &Deploy) -> EventId {
    let first = deploy.first_event.unwrap_or_default();
    EventId((first.0 - 1).max(0))
}

/// Of one that has ended.
fn last_event(deploy: &Deploy) -> Option<EventId> {
    let has_ended = deploy.summary.status.is_terminal();
    deploy.last_event.filter(|_| has_ended)
}

async fn read(
    state: &ApiState,
    deploy: &Deploy,
    after: EventId,
    limit: usize,
) -> Result<(Vec<LogLine>, Option<EventId>, Position), StoreError> {
    let filter = Filter {
        types: vec![EventType::DeployLog],
        deploys: vec![deploy.summary.id],
        ..Filter::default()
    };
    let last = last_event(deploy);
    let (page, as_of) = state
        .store
        .read(move |reader| {
            let page = reader.journal_page(&filter, &PageRequest::new(after, limit))?;
            Ok((page, reader.head()?))
        })
        .await?;
    let end = last.unwrap_or(page.head);
    let next = (page.scanned_to < end).then_some(page.scanned_to);
    let lines = page.frames().map(|frame| line_of(&frame));
    let lines = lines
        .filter_map(Result::transpose)
        .collect::<Result<_, _>>()?;
    Ok((lines, next, as_of))
}

fn line_of(frame: &Frame) -> Result<Option<LogLine>, StoreError> {
    let event: Event = serde_json::from_str(frame.json())?;
    let Payload::DeployLog(log) = event.payload else {
        return Ok(None);
    };
    Ok(Some(LogLine {
        id: event.id,
        time: event.time,
        stream: log.stream,
        step: log.step,
        line: log.line,
    }))
}
