use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{IsLast, coalesce::Coalescer};
use crate::{
    api::subscriptions::Entered,
    events::{Frame, Hello, Next, Subscription, control},
    model::{EventId, Position, Timestamp},
};

const BOOKMARK_EVERY: Duration = Duration::from_secs(15);

/// A stream as the body of a response.
pub struct EventBody {
    pub hello: Hello,
    pub subscription: Subscription,
    /// Ends all streams when the server stops.
    pub stopping: CancellationToken,
    pub is_last: Option<IsLast>,
    pub coalescer: Coalescer,
    pub sent: Arc<AtomicU64>,
    pub _entered: Entered,
}

impl EventBody {
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        let sent = self.sent.clone();
        let frames = self.frames();
        async_stream::stream! {
            for await bytes in frames {
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                yield Ok(bytes);
            }
        }
    }

    fn frames(mut self) -> impl Stream<Item = Bytes> {
        async_stream::stream! {
            yield Bytes::from(self.hello.frame());
            let mut bookmark = interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY);
            bookmark.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let next = tokio::select! {
                    biased;
                    () = self.stopping.cancelled() => {
                        yield Bytes::from(control::farewell());
                        return;
                    }
                    next = self.coalescer.next(&mut self.subscription) => next,
                    _ = bookmark.tick() => {
                        let at = self.position(self.coalescer.passed(&self.subscription));
                        yield Bytes::from(control::bookmark(&at, Timestamp::now()));
                        continue;
                    }
                };
                match next {
                    Ok(Next::Events(frames)) => {
                        let (bytes, ended) = self.join(&frames);
                        yield bytes;
                        if ended {
                            return;
                        }
                    }
                    Ok(Next::Reset { reason, head }) => {
                        yield Bytes::from(control::reset(reason, &self.position(head)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an event stream had to end; the client will resume");
                        return;
                    }
                }
            }
        }
    }

    /// One chunk for all that is ready.
    fn join(&self, frames: &[Frame]) -> (Bytes, bool) {
        let last = |frame: &Frame| self.is_last.as_ref().is_some_and(|is_last| is_last(frame));
        let mut bytes = BytesMut::with_capacity(frames.iter().map(|frame| frame.sse().len()).sum());
        for frame in frames {
            bytes.extend_from_slice(&frame.sse());
            if last(frame) {
                bytes.extend_from_slice(control::end().as_bytes());
                return (bytes.freeze(), true);
            }
        }
        (bytes.freeze(), false)
    }

    fn position(&self, id: EventId) -> Position {
        Position {
            id,
            ..self.hello.head.clone()
        }
    }
}
