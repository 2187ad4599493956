//! For pages that need only the latest state of things.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::{
    events::{Frame, Next, Subscription},
    model::{EventId, EventType},
    store::StoreError,
};

/// Events that wait at most, and their bytes, whatever the time.
const WAITING_MAX: usize = 4_096;
const WAITING_BYTES_MAX: usize = 256 << 10;

/// Holds events back for a while, and forgets those that are outdated by then.
pub struct Coalescer {
    /// `None` passes everything on at once.
    window: Option<Duration>,
    /// When what is waiting goes out.
    until: Option<Instant>,
    waiting: BTreeMap<EventId, Frame>,
    bytes: usize,
    /// The last event about each subject; of containers, whose names may come again,
    /// about each of them.
    newest: HashMap<(EventType, String), EventId>,
}

impl Coalescer {
    pub fn new(window: Option<Duration>) -> Self {
        Self {
            window,
            until: None,
            waiting: BTreeMap::new(),
            bytes: 0,
            newest: HashMap::new(),
        }
    }

    /// Waits for the next events. May be dropped at any await: what was
    /// gathered by then is still there.
    pub async fn next(&mut self, subscription: &mut Subscription) -> Result<Next, StoreError> {
        let Some(window) = self.window else {
            return subscription.next().await;
        };
        loop {
            let next = match self.until {
                None => subscription.next().await?,
                Some(until) if !self.is_full() => {
                    match timeout_at(until, subscription.next()).await {
                        Ok(next) => next?,
                        Err(_) => return Ok(self.release(subscription)),
                    }
                }
                Some(_) => return Ok(self.release(subscription)),
            };
            match next {
                Next::Events(frames) => {
                    self.until.get_or_insert_with(|| Instant::now() + window);
                    self.add(&frames)?;
                    subscription.hold_back(self.waiting.keys().next().copied());
                }
                Next::Reset { .. } => {
                    // What waits is of before the gap: the client loads anew.
                    self.release(subscription);
                    return Ok(next);
                }
            }
        }
    }

    fn add(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        for frame in frames {
            let kind = frame.parts().kind;
            // Log lines are no state: none replaces another.
            if kind != EventType::DeployLog {
                let key = (kind, about(frame)?);
                let outdated = self.newest.insert(key, frame.id());
                let outdated = outdated.and_then(|id| self.waiting.remove(&id));
                self.bytes -= outdated.map_or(0, |frame| frame.sse().len());
            }
            self.bytes += frame.sse().len();
            // A copy: what it stays behind is not kept with it.
            self.waiting.insert(frame.id(), frame.alone());
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX || self.bytes >= WAITING_BYTES_MAX
    }

    fn release(&mut self, subscription: &Subscription) -> Next {
        subscription.hold_back(None);
        (self.until, self.bytes) = (None, 0);
        self.newest.clear();
        Next::Events(std::mem::take(&mut self.waiting).into_values().collect())
    }
}

fn about(frame: &Frame) -> Result<String, StoreError> {
    #[derive(Deserialize)]
    struct About {
        subject: String,
        payload: Payload,
    }
    #[derive(Deserialize)]
    struct Payload {
        /// Of `instance_status`: the container's id.
        instance: Option<String>,
    }
    let it: About = serde_json::from_str(frame.json())?;
    Ok(it.payload.instance.unwrap_or(it.subject))
}
