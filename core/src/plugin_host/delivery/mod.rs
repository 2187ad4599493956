//! Deliveries: sealed lists of events on their way to a sink.
//!
//! A pipeline stores them; the one task of each sink makes them, oldest first,
//! at least once, always under the same id. What comes to an empty queue is made while
//! it is stored. A target that fails makes the whole
//! sink wait, and is asked again with its oldest delivery, so order is kept. One
//! that refuses several events together gets them in halves.

mod backoff;
mod id;
mod inbox;
mod seal;
mod sink;
mod verdict;

pub use inbox::{HandedOver, Inbox};
pub use seal::seal;
pub use sink::{SinkTask, TestMailbox, TestRequested};

use id::delivery_id;

use crate::{
    model::{
        Actor, Delivery, DeliveryStatusPayload, EventId, NewEvent, Payload, Severity, Subject,
    },
    store::{StoreError, Tx},
};

/// Tells where a delivery stands now, in the transaction that moved it.
pub fn publish_status(
    tx: &mut Tx<'_>,
    delivery: &Delivery,
    severity: Severity,
) -> Result<EventId, StoreError> {
    let payload = Payload::DeliveryStatus(DeliveryStatusPayload {
        delivery: delivery.id.clone(),
        pipeline: delivery.pipeline.clone(),
        sink: delivery.sink.clone(),
        status: delivery.status.as_str().to_owned(),
        attempt: delivery.attempts,
        reason: delivery.last_error.clone(),
        events: delivery.events.clone(),
    });
    let event = NewEvent::new(
        Subject::other(format!(
            "sinks/{}/deliveries/{}",
            delivery.sink, delivery.id
        )),
        severity,
        Actor::plugin(&delivery.sink),
        payload,
    );
    tx.publish(event.caused_by(delivery.events.first().copied()))
}
