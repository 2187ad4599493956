use super::delivery_id;
use crate::{
    model::{EventId, Timestamp},
    plugin_host::sandbox::GuestEvent,
    store::{NewDelivery, PassedEvent, QueuedDelivery},
};

/// Makes one delivery of some events. `origin` is the journal that they are of,
/// or the delivery that they were in before.
pub fn seal(origin: &str, pipeline: &str, sink: &str, events: &[PassedEvent]) -> NewDelivery {
    let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
    let json: Vec<&str> = events.iter().map(|event| event.json.as_str()).collect();
    NewDelivery {
        id: delivery_id(origin, &ids, pipeline, sink),
        pipeline: pipeline.to_owned(),
        sink: sink.to_owned(),
        subject: common_subject(events).to_owned(),
        events: ids,
        input: format!("[{}]", json.join(",")),
    }
}

/// A delivery of several events that its target refuses goes on in two, down to
/// the event that is to blame. `None` where there is only one.
pub(super) fn halves(queued: &QueuedDelivery, events: &[GuestEvent]) -> Option<[NewDelivery; 2]> {
    if events.len() < 2 {
        return None;
    }
    let from = &queued.delivery;
    let half = |events: &[GuestEvent]| {
        let passed: Vec<PassedEvent> = events.iter().map(passed_again).collect();
        seal(&from.id, &from.pipeline, &from.sink, &passed)
    };
    let (first, second) = events.split_at(events.len() / 2);
    Some([half(first), half(second)])
}

fn passed_again(event: &GuestEvent) -> PassedEvent {
    PassedEvent {
        id: EventId(i64::try_from(event.id).unwrap_or(i64::MAX)),
        subject: event.subject.clone(),
        json: serde_json::to_string(event).expect("an event has only string keys"),
        passed_at: Timestamp::now(),
    }
}

/// Empty where they are about different things.
fn common_subject(events: &[PassedEvent]) -> &str {
    let mut subjects = events.iter().map(|event| event.subject.as_str());
    let first = subjects.next().unwrap_or_default();
    if subjects.all(|subject| subject == first) {
        first
    } else {
        ""
    }
}
