use std::time::Duration;

use eventsource_stream::{Event, EventStream, Eventsource};
use futures_util::{StreamExt, stream::BoxStream};
use reqwest::Client;
use serde_json::Value;

/// Nothing that a test waits for takes longer, unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A client of an event stream, as a browser is one.
pub struct Sse {
    frames: EventStream<BoxStream<'static, Result<bytes::Bytes, reqwest::Error>>>,
    pub hello: Value,
    pub last_id: String,
}

impl Sse {
    pub async fn open(http: &Client, url: &str, last_id: Option<&str>) -> Self {
        let mut request = http.get(url).header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let frames = response.bytes_stream().boxed().eventsource();
        let mut sse = Self {
            frames,
            hello: Value::Null,
            last_id: last_id.unwrap_or_default().to_owned(),
        };
        let hello = sse.frame().await.expect("a first frame");
        assert_eq!(hello.event, "hello");
        sse.hello = serde_json::from_str(&hello.data).expect("JSON");
        sse
    }

    /// The next frame, control frames too; `None` at the end.
    pub async fn frame(&mut self) -> Option<Event> {
        let frame = tokio::time::timeout(PATIENCE, self.frames.next()).await;
        let frame = frame.expect("a frame in time")?.ok()?;
        if !frame.id.is_empty() {
            self.last_id.clone_from(&frame.id);
        }
        Some(frame)
    }

    /// The next fact.
    pub async fn event(&mut self) -> Option<Value> {
        loop {
            let frame = self.frame().await?;
            match frame.event.as_str() {
                "message" => return Some(serde_json::from_str(&frame.data).expect("JSON")),
                "end" => return None,
                _ => {}
            }
        }
    }

    /// The next fact for which `wanted` holds. In time: heartbeats do not count.
    pub async fn until(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let event = self.event().await.expect("the stream goes on");
                if wanted(&event) {
                    return event;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.expect("the event comes in time")
    }
}
