use axum::{
    Json,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, LINK},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    format::{self, Answer, CloudEvent, Format, PageFormat},
    path::Path,
    query::Query,
    serve::Connection,
    stream::{self, Wanted},
};
use crate::{
    events::{Filter, Frame, Start},
    model::{Event, EventId, Position},
    store::{PageRequest, Reader, StoreError},
};

/// Of both forms.
const PARAMETERS: [&str; 9] = [
    "type", "project", "stage", "instance", "deploy", "severity", "logs", "after", "format",
];
const OF_PAGES: [&str; 3] = ["before", "order", "limit"];
const OF_STREAMS: [&str; 1] = ["coalesce"];

/// A page of events.
#[derive(Serialize, ToSchema)]
pub struct EventPage {
    #[schema(value_type = Vec<Event>)]
    items: Vec<Box<RawValue>>,
    /// `after` of the next page; with `order=desc`, its `before`.
    next: Option<String>,
    /// From this event on, nothing that the filter lets through has been deleted.
    oldest: Position,
    /// The newest event that this page could contain.
    as_of: Position,
}

/// Events as they happen (the default), or a page of past ones, whichever
/// `Accept` asks for.
///
/// Of a stream of lines (`application/x-ndjson`), those with `control` are its
/// own word; `after` takes the `position` of any that has one. A page of
/// CloudEvents names the next one in `Link`.
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
        ("limit" = Option<usize>, Query, description = "1 to 500, for pages"),
        ("format" = Option<String>, Query, description = "`plain`, `cloudevents`, `cdevents` (deploys that have succeeded), or `ndjson` for streams: the form of the events, whatever `Accept` says of it")),
    responses(
        (status = 200, description = "events", content(
            (EventPage = "application/json"),
            (Vec<CloudEvent> = "application/cloudevents-batch+json"),
            (String = "text/event-stream"),
            (String = "application/x-ndjson"))),
        (status = 400, body = super::Problem), (status = 406, body = super::Problem)))]
pub async fn list(
    State(state): State<ApiState>,
    connection: Connection,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    query.only(&[&PARAMETERS[..], &OF_PAGES, &OF_STREAMS].concat())?;
    let answer = format::choose(&headers, &query, Answer::Stream(Format::Plain))?;
    match answer {
        Answer::Page(_) => query.none_of(
            &OF_STREAMS,
            "it is for streams; this is a page of past events",
        )?,
        Answer::Stream(_) => query.none_of(
            &OF_PAGES,
            "it is for pages; this is a stream: ask for a page with `accept: application/json`",
        )?,
    }
    let mut filter = query.filter()?;
    if let Answer::Page(PageFormat::CdEvents) | Answer::Stream(Format::CdEvents) = answer {
        query.none_of(
            &["type", "logs", "instance", "severity"],
            "CDEvents are of deploys that have succeeded: choose by `project`, `stage` or `deploy`",
        )?;
        filter = Format::CdEvents.narrow(filter);
    }
    match answer {
        Answer::Page(PageFormat::Plain) => {
            Ok(Json(page(&state, filter, &query).await?).into_response())
        }
        Answer::Page(format) => batch(page(&state, filter, &query).await?, format, &query),
        Answer::Stream(format) => {
            let start = query.start(&headers, Start::Live)?;
            let wanted = Wanted {
                format,
                coalesce: query.coalesce()?,
                ..Wanted::new(filter, start)
            };
            stream::open(&state, connection, wanted)
        }
    }
}

/// One event, with what enrichers added to it; as a CloudEvent without that.
#[utoipa::path(get, path = "/api/events/{id}", tag = "events",
    params(("id" = i64, Path), ("format" = Option<String>, Query, description = "`plain`, `cloudevents` or `cdevents`, whatever `Accept` says")),
    responses(
        (status = 200, description = "the event", content(
            (Event = "application/json"), (CloudEvent = "application/cloudevents+json"))),
        (status = 404, body = super::Problem), (status = 406, body = super::Problem)))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<i64>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    query.only(&["format"])?;
    let format = format::choose_for_one(&headers, &query)?;
    let found = state
        .store
        .read(move |reader| {
            let Some(frame) = reader.event(EventId(id))? else {
                return Ok(None);
            };
            let journal = reader.head()?.journal;
            Ok(Some((journal, frame, reader.annotations(EventId(id))?)))
        })
        .await?;
    let (journal, frame, annotations) = found.ok_or_else(|| ApiError::not_found("event", id))?;
    match format {
        PageFormat::Plain => Ok(Json(annotated(&frame, annotations)?).into_response()),
        PageFormat::CloudEvents | PageFormat::CdEvents => {
            let event = format.cloud_event(&journal, frame.json());
            let event = event
                .map_err(StoreError::from)?
                .ok_or_else(|| no_word_for(id))?;
            Ok(([(CONTENT_TYPE, format::MEDIA_TYPE)], Json(event)).into_response())
        }
    }
}

fn no_word_for(id: i64) -> ApiError {
    ApiError::new(
        StatusCode::NOT_ACCEPTABLE,
        "not_acceptable",
        format!(
            "event `{id}` is no CDEvent: those are of deploys that have succeeded; leave out `format`"
        ),
    )
}

fn annotated(
    frame: &Frame,
    annotations: Vec<(String, String)>,
) -> Result<serde_json::Value, StoreError> {
    let mut event: serde_json::Value = serde_json::from_str(frame.json())?;
    let merged = annotations
        .into_iter()
        .map(|(plugin, json)| Ok((plugin, serde_json::from_str(&json)?)))
        .collect::<Result<serde_json::Map<_, _>, serde_json::Error>>();
    event["annotations"] = merged?.into();
    Ok(event)
}

async fn page(state: &ApiState, filter: Filter, query: &Query) -> Result<EventPage, ApiError> {
    let limit = query.limit()?;
    match query.text("order").unwrap_or("asc") {
        "asc" if query.text("before").is_some() => Err(ApiError::bad_request(
            "parameter `before`: it is for pages from the newest on, with `order=desc`",
        )),
        "desc" if query.text("after").is_some() => Err(ApiError::bad_request(
            "parameter `after`: pages with `order=desc` go down from `before`",
        )),
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
    let start = query.start(&HeaderMap::new(), Start::Oldest)?;
    let mut after = start.after(&state.bus.head().journal).ok_or_else(|| {
        ApiError::bad_request("parameter `after`: it is of another journal, begin without it")
    })?;
    let mut frames = Vec::new();
    let ((oldest, as_of), is_full) = loop {
        let (filter, left) = (filter.clone(), limit - frames.len());
        let read = state.store.read(move |reader| {
            let page = reader.journal_page(&filter, &PageRequest::new(after, left))?;
            Ok((page, span(reader, &filter)?))
        });
        let (page, span) = read.await?;
        frames.extend(page.frames());
        after = page.scanned_to;
        if page.is_full || after >= page.head {
            break (span, page.is_full && after < page.head);
        }
    };
    Ok(EventPage {
        items: raw(frames.into_iter())?,
        next: is_full.then(|| after.to_string()),
        oldest,
        as_of,
    })
}

async fn page_descending(
    state: &ApiState,
    filter: Filter,
    query: &Query,
    limit: usize,
) -> Result<EventPage, ApiError> {
    let mut before = query.parsed::<i64>("before", "an event id")?.map(EventId);
    let (mut frames, mut as_of) = (Vec::new(), None);
    // However rare it is what is asked for, no read takes long.
    let (oldest, is_full) = loop {
        let (filter, left) = (filter.clone(), limit - frames.len());
        let read = state.store.read(move |reader| {
            let found = reader.journal_before(&filter, before, left)?;
            Ok((found, span(reader, &filter)?))
        });
        let ((found, first), (oldest, head)) = read.await?;
        frames.extend(found);
        // What came after the first read is not looked for by the others.
        as_of.get_or_insert(head);
        match first {
            None => break (oldest, true),
            Some(EventId(0)) => break (oldest, false),
            Some(first) => before = Some(EventId(first.0 + 1)),
        }
    };
    let next = frames
        .last()
        .filter(|_| is_full)
        .map(|frame| frame.id().to_string());
    Ok(EventPage {
        items: raw(frames.into_iter())?,
        next,
        as_of: as_of.unwrap_or_else(|| oldest.clone()),
        oldest,
    })
}

/// From which event to which a page could reach.
fn span(reader: &Reader<'_>, filter: &Filter) -> Result<(Position, Position), StoreError> {
    let head = reader.head()?;
    let oldest = Position {
        id: EventId(reader.floor(filter)?.0 + 1),
        ..head.clone()
    };
    Ok((oldest, head))
}

/// A page as CloudEvents; its next one is named in a header.
fn batch(page: EventPage, format: PageFormat, query: &Query) -> Result<Response, ApiError> {
    let EventPage {
        items, next, as_of, ..
    } = page;
    let events = items
        .iter()
        .filter_map(|item| format.cloud_event(&as_of.journal, item.get()).transpose())
        .collect::<Result<Vec<_>, _>>()
        .map_err(StoreError::from)?;
    let headers = [(CONTENT_TYPE, format::BATCH_MEDIA_TYPE)];
    let mut response = (headers, Json(events)).into_response();
    if let Some(next) = next {
        let from = match query.text("order") {
            Some("desc") => "before",
            _ => "after",
        };
        let link = format!("</api/events?{}>; rel=\"next\"", query.with(from, &next));
        let link = link.parse().expect("a query is percent-encoded");
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// The stored JSON, as it is.
fn raw(frames: impl Iterator<Item = Frame>) -> Result<Vec<Box<RawValue>>, StoreError> {
    let json = frames.map(|frame| RawValue::from_string(frame.json().to_owned()));
    Ok(json.collect::<Result<_, _>>()?)
}
