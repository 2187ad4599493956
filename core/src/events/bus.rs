use std::sync::Arc;

use super::{Filter, Gaps, Log, Past, Start, Subscription, replay};
use crate::{
    model::{Actor, EventId, NewEvent, Payload, Position, Severity, Subject, SystemPayload},
    store::{Receipt, Store, StoreError},
};

/// Where facts are published and subscribed to. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    store: Store,
    log: Arc<Log>,
    past: Past,
}

impl Bus {
    pub fn new(store: Store, log: Arc<Log>) -> Self {
        let past = Past::new(store.clone());
        Self { store, log, past }
    }

    /// Enqueues an event; never waits. The receipt may be dropped: the event
    /// is written all the same. [`StoreError::Busy`] when the queue is full.
    pub fn publish(&self, event: NewEvent) -> Result<Receipt<EventId>, StoreError> {
        self.store.enqueue(move |tx| tx.publish(event))
    }

    /// Tells something about the server itself; what cannot be told is in its log.
    pub fn announce(&self, subject: &str, severity: Severity, what: &str, message: String) {
        let payload = Payload::System(SystemPayload {
            what: what.to_owned(),
            message,
        });
        let (subject, actor) = (Subject::other(subject), Actor::system("server"));
        if let Err(error) = self.publish(NewEvent::new(subject, severity, actor, payload)) {
            tracing::warn!(%error, what, "could not be announced");
        }
    }

    /// Waits for room in the queue and for the commit: for those who can hold
    /// back their source, such as readers of container output.
    pub async fn publish_all(&self, events: Vec<NewEvent>) -> Result<(), StoreError> {
        self.store
            .write(move |tx| {
                for event in events {
                    tx.publish(event)?;
                }
                Ok(())
            })
            .await
    }

    /// Begins a new life where the last one ended: with the newest events in memory.
    pub async fn recall(&self) {
        if let Err(error) = replay::recall(&self.store, &self.log).await {
            tracing::warn!(%error, "what was before this start is read from the journal alone");
        }
    }

    /// The newest event that subscribers may have seen.
    pub fn head(&self) -> Position {
        self.log.head()
    }

    /// The newest events, in memory.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// What is no longer in memory, for clients.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// A cursor on the journal; it costs nothing until it is asked.
    pub fn subscribe(&self, filter: Filter, start: Start) -> Subscription {
        self.subscribe_over(filter, start, Gaps::Reset)
    }

    /// The same, where gaps are something else than a reset.
    pub fn subscribe_over(&self, filter: Filter, start: Start, gaps: Gaps) -> Subscription {
        Subscription::new(self.store.clone(), self.log.clone(), filter, start, gaps)
    }

    /// The same for one of many clients, which may be slow.
    pub fn subscribe_client(&self, filter: Filter, start: Start, gaps: Gaps) -> Subscription {
        let subscription = self.subscribe_over(filter, start, gaps);
        subscription.in_turns(self.past.turns.clone())
    }
}
