use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Ending, coalesce::Coalescer};
use crate::{
    api::{format::Format, subscriptions::Entered},
    events::{BOOKMARK_SECONDS, Control, Frame, Next, Subscription},
    model::{EventId, Hello, Position, Reset, Timestamp},
    store::StoreError,
};

const BOOKMARK_EVERY: Duration = Duration::from_secs(BOOKMARK_SECONDS as u64);

/// A stream as the body of a response.
pub struct EventBody {
    pub format: Format,
    pub hello: Hello,
    pub subscription: Subscription,
    /// Ends all streams when the server stops.
    pub stopping: CancellationToken,
    pub ending: Option<Ending>,
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
            let begins = (!self.subscription.starts_with_reset())
                .then(|| self.position(self.subscription.cursor()));
            yield self.control(&Control::hello(self.hello.clone(), begins));
            let mut bookmark = interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY);
            bookmark.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                if self.has_ended() {
                    yield self.control(&Control::End);
                    return;
                }
                let next = tokio::select! {
                    biased;
                    () = self.stopping.cancelled() => {
                        yield self.control(&Control::farewell());
                        return;
                    }
                    next = self.coalescer.next(&mut self.subscription) => next,
                    _ = bookmark.tick() => {
                        let at = self.position(self.subscription.passed());
                        let time = Timestamp::now();
                        yield self.control(&Control::Bookmark { at, time });
                        continue;
                    }
                };
                match next.and_then(|next| self.say(next)) {
                    // Its form has no word for any of them.
                    Ok(Said::Go(bytes)) if bytes.is_empty() => tokio::task::yield_now().await,
                    Ok(Said::Go(bytes)) => yield bytes,
                    Ok(Said::End(bytes)) => {
                        yield bytes;
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an event stream had to end; the client will resume");
                        return;
                    }
                }
            }
        }
    }

    /// What was its last event has been passed, sent or not.
    fn has_ended(&self) -> bool {
        let last = self.ending.as_ref().and_then(|ending| ending.last);
        let passed = self.subscription.passed();
        !self.subscription.starts_with_reset() && last.is_some_and(|last| passed >= last)
    }

    fn say(&self, next: Next) -> Result<Said, StoreError> {
        match next {
            Next::Events(frames) => self.join(&frames),
            Next::Reset { reason, head } => {
                let head = self.position(head);
                let reset = self.control(&Control::Reset(Reset { reason, head }));
                Ok(match self.ending {
                    // Its last event may be among what was missed: who resumes is told.
                    Some(_) => Said::End(reset),
                    None => Said::Go(reset),
                })
            }
        }
    }

    /// One chunk for all that is ready: a frame of HTTP/2 for each event would cost more
    /// than copying sealed ones together, and a client that is stuck would keep segments.
    fn join(&self, frames: &[Frame]) -> Result<Said, StoreError> {
        let last = |frame: &Frame| {
            self.ending
                .as_ref()
                .is_some_and(|ending| (ending.is_last)(frame))
        };
        let journal = &self.hello.head.journal;
        let bytes_of = |frame| self.format.bytes_of(frame);
        let mut bytes = Vec::with_capacity(frames.iter().map(bytes_of).sum());
        for frame in frames {
            self.format.write_event(journal, frame, &mut bytes)?;
            if last(frame) {
                bytes.extend_from_slice(self.format.control(&Control::End).as_bytes());
                return Ok(Said::End(bytes.into()));
            }
        }
        Ok(Said::Go(bytes.into()))
    }

    fn control(&self, control: &Control) -> Bytes {
        self.format.control(control).into()
    }

    fn position(&self, id: EventId) -> Position {
        Position {
            id,
            ..self.hello.head.clone()
        }
    }
}

/// What is sent next, and whether it is the last.
enum Said {
    Go(Bytes),
    End(Bytes),
}
