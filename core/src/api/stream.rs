use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use rand::Rng;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    events::{Frame, Next, Subscription},
    model::{EventId, Position, Timestamp},
};

/// Heartbeat, watchdog of the client and point to resume from, in one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(15);

/// Everything one SSE response needs.
pub struct EventStream {
    pub subscription: Subscription,
    pub journal: String,
    pub oldest: EventId,
    /// The client named a position to go on from.
    pub resumed: bool,
    /// Ends all streams when the server stops.
    pub stopping: CancellationToken,
    /// A place among the streams served at once.
    pub _permit: OwnedSemaphorePermit,
    /// Says of a sent event whether it is the last one of this stream.
    pub is_last: Option<IsLast>,
}

pub type IsLast = Box<dyn Fn(&Frame) -> bool + Send + Sync>;

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let mut response = Body::from_stream(self.into_stream(BOOKMARK_EVERY)).into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-cache, no-transform"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

impl EventStream {
    fn into_stream(
        mut self,
        bookmark_every: Duration,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> {
        async_stream::stream! {
            yield Ok(self.hello());
            let mut bookmark = interval_at(Instant::now() + bookmark_every, bookmark_every);
            bookmark.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let next = tokio::select! {
                    biased;
                    () = self.stopping.cancelled() => {
                        yield Ok(farewell());
                        return;
                    }
                    next = self.subscription.next() => next,
                    _ = bookmark.tick() => {
                        yield Ok(self.bookmark());
                        continue;
                    }
                };
                match next {
                    Ok(Next::Events(frames)) => {
                        let (bytes, ended) = self.coalesce(&frames);
                        yield Ok(bytes);
                        if ended {
                            return;
                        }
                    }
                    Ok(Next::Reset { reason, head }) => {
                        let head = self.position(head);
                        let data = serde_json::json!({"reason": reason.as_str(), "head": head});
                        yield Ok(control("reset", Some(&head), &data));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an event stream had to end; the client will resume");
                        return;
                    }
                }
            }
        }
    }

    /// First of all: where the journal stands, and whether this is a resume.
    fn hello(&self) -> Bytes {
        let (cursor, head) = (self.subscription.cursor(), self.subscription.head());
        let data = serde_json::json!({
            "head": self.position(head),
            "oldest": self.position(self.oldest),
            "resumed": self.resumed && !self.subscription.starts_with_reset(),
            "missed": if self.resumed { head.0 - cursor.0 } else { 0 },
            "subscription": format!("s{:016x}", rand::rng().random::<u64>()),
        });
        let retry_ms = rand::rng().random_range(500..1_500);
        let mut bytes = BytesMut::from(format!("retry: {retry_ms}\n").as_bytes());
        bytes.extend(control("hello", None, &data));
        bytes.freeze()
    }

    fn bookmark(&self) -> Bytes {
        let data = serde_json::json!({ "time": Timestamp::now() });
        control(
            "bookmark",
            Some(&self.position(self.subscription.cursor())),
            &data,
        )
    }

    /// One chunk for all that is ready.
    fn coalesce(&self, frames: &[Arc<Frame>]) -> (Bytes, bool) {
        let last = |frame: &Frame| self.is_last.as_ref().is_some_and(|is_last| is_last(frame));
        let mut bytes = BytesMut::with_capacity(frames.iter().map(|frame| frame.weight()).sum());
        for frame in frames {
            bytes.extend_from_slice(&frame.sse());
            if last(frame) {
                bytes.extend(end());
                return (bytes.freeze(), true);
            }
        }
        (bytes.freeze(), false)
    }

    fn position(&self, id: EventId) -> String {
        Position {
            journal: self.journal.clone(),
            id,
        }
        .to_string()
    }
}

/// Tells a client that there is no more to come, so that it does not return.
pub fn end() -> Bytes {
    control("end", None, &serde_json::json!({}))
}

/// Clients of a server that stops come back at different times.
fn farewell() -> Bytes {
    let retry_ms = rand::rng().random_range(500..5_000);
    Bytes::from(format!("retry: {retry_ms}\n: the server is stopping\n\n"))
}

fn control(event: &str, id: Option<&str>, data: &serde_json::Value) -> Bytes {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    Bytes::from(format!("{id}event: {event}\ndata: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use futures_util::StreamExt;
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    use super::EventStream;
    use crate::{
        events::{Bus, Filter, Log, Start},
        model::EventId,
        store::Store,
    };

    #[tokio::test]
    async fn a_silent_stream_says_every_so_often_where_it_is() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let log = Log::new();
        let (store, _writer) = Store::open(&dir.path().join("db"), &log).expect("a database");
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned();
        let stream = EventStream {
            subscription: Bus::new(store, log).subscribe(Filter::default(), Start::Live),
            journal: "j1".into(),
            oldest: EventId(1),
            resumed: false,
            stopping: CancellationToken::new(),
            _permit: permit.expect("free"),
            is_last: None,
        };
        let mut frames = std::pin::pin!(stream.into_stream(Duration::from_millis(1)));
        let mut said = Vec::new();
        for _ in 0..3 {
            let Ok(frame) = frames.next().await.expect("the stream goes on");
            said.push(String::from_utf8_lossy(&frame).into_owned());
        }
        assert!(said[0].contains("event: hello"), "{said:?}");
        assert!(
            said[2].starts_with("id: j1-0\nevent: bookmark\n"),
            "{said:?}"
        );
    }
}
