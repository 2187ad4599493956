//! Event streams to clients, all alike from the outside.
//!
//! Over HTTP/1.1 the fan-out threads take the socket and write to it
//! themselves. Everything else (HTTP/2, streams that end by themselves, streams
//! that are coalesced or in another form) is a body that hyper asks for the next
//! bytes.

mod body;
mod coalesce;

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{
    ApiError, ApiState,
    format::Format,
    serve::{Connection, Takeover, TakeoverBody},
    subscriptions::{Entered, Link, Newcomer},
};
use crate::{
    events::{Attachment, Control, Filter, Frame, Gaps, Start},
    model::{EventId, Hello, Position, Principal, Reset},
};
use body::EventBody;
use coalesce::Coalescer;

/// What a client asks for.
pub struct Wanted {
    pub format: Format,
    pub filter: Filter,
    pub start: Start,
    pub gaps: Gaps,
    /// Of one that ends by itself.
    pub ending: Option<Ending>,
    /// Of the events within this time only the last about each subject.
    pub coalesce: Option<Duration>,
}

/// How a stream ends by itself.
pub struct Ending {
    /// Says of a sent event whether it is the last one.
    pub is_last: Box<dyn Fn(&Frame) -> bool + Send + Sync>,
    /// The last one, if that is known. It may be there no longer.
    pub last: Option<EventId>,
}

impl Wanted {
    pub fn new(filter: Filter, start: Start) -> Self {
        Self {
            format: Format::Plain,
            filter,
            start,
            gaps: Gaps::Reset,
            ending: None,
            coalesce: None,
        }
    }

    fn is_plain(&self) -> bool {
        self.format == Format::Plain
            && self.gaps == Gaps::Reset
            && self.ending.is_none()
            && self.coalesce.is_none()
    }
}

/// Opens a stream, or says that there are too many.
pub fn open(
    state: &ApiState,
    connection: Connection,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let Connection { client, takeover } = connection;
    match takeover.filter(|_| wanted.is_plain()) {
        Some(takeover) => open_on_socket(state, client, takeover, wanted),
        None => open_as_body(state, client, wanted),
    }
}

/// A stream that has ended already.
pub fn ended(format: Format) -> Response {
    respond(format, Body::from(format.control(&Control::End)))
}

fn open_on_socket(
    state: &ApiState,
    client: IpAddr,
    takeover: Takeover,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let Wanted { filter, start, .. } = wanted;
    let floor = state.store.floor(&filter);
    let seat = state.fanout.seat();
    let entered = enter(state, client, Link::Socket(seat.clone()))?;
    let is_resume = start != Start::Live;
    let (after, reset) = start.resolve(state.bus.log(), floor);
    let head = state.bus.head();
    let hello = hello(
        &head,
        floor,
        is_resume && reset.is_none(),
        is_resume.then_some(after),
        &entered,
    );
    let begins = Position { id: after, ..head };
    let opening = match reset {
        None => Control::hello(hello, Some(begins)).sse(),
        Some(reason) => {
            let head = begins;
            let reset = Control::Reset(Reset { reason, head });
            Control::hello(hello, None).sse() + &reset.sse()
        }
    };
    let body = TakeoverBody::new(takeover, move |socket| {
        seat.attach(Attachment {
            socket,
            filter,
            after,
            opening,
            guard: Box::new(entered),
        });
    });
    Ok(respond(Format::Plain, Body::new(body)))
}

fn open_as_body(state: &ApiState, client: IpAddr, wanted: Wanted) -> Result<Response, ApiError> {
    let Wanted {
        format,
        filter,
        start,
        gaps,
        ending,
        coalesce,
    } = wanted;
    let is_resume = start != Start::Live;
    let filter = format.narrow(filter);
    let floor = state.store.floor(&filter);
    let subscription = state.bus.subscribe_client(filter, start, gaps);
    let sent = Arc::new(AtomicU64::new(0));
    let link = Link::Body {
        format,
        steering: subscription.steering(),
        sent_bytes: sent.clone(),
    };
    let entered = enter(state, client, link)?;
    let resumes = is_resume && !subscription.starts_with_reset();
    let after = is_resume.then(|| subscription.cursor());
    let body = EventBody {
        format,
        hello: hello(&state.bus.head(), floor, resumes, after, &entered),
        subscription,
        stopping: state.stopping.clone(),
        ending,
        coalescer: Coalescer::new(coalesce),
        sent,
        _entered: entered,
    };
    Ok(respond(format, Body::from_stream(body.into_stream())))
}

fn enter(state: &ApiState, client: IpAddr, link: Link) -> Result<Entered, ApiError> {
    state.subscriptions().enter(Newcomer {
        principal: Principal::Local,
        client,
        link,
    })
}

fn hello(
    head: &Position,
    floor: EventId,
    resumed: bool,
    after: Option<EventId>,
    entered: &Entered,
) -> Hello {
    Hello {
        oldest: Position {
            id: EventId(floor.0 + 1),
            ..head.clone()
        },
        resumed,
        missed: after.map_or(0, |after| head.id.0 - after.0),
        subscription: entered.id().to_owned(),
        head: head.clone(),
    }
}

fn respond(format: Format, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, format.media_type()),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
