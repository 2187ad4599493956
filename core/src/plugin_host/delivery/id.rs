use sha2::{Digest, Sha256};

use crate::model::EventId;

/// The idempotency key of a delivery: the same events of the same journal, by
/// the same pipeline, to the same sink, always have the same one.
pub fn delivery_id(journal: &str, events: &[EventId], pipeline: &str, sink: &str) -> String {
    let mut hash = Sha256::new();
    for part in [journal, pipeline, sink] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    for event in events {
        hash.update(event.0.to_be_bytes());
    }
    format!("d-{}", hex::encode(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_exactly_these_events_pipeline_and_sink() {
        let events = [EventId(1), EventId(2)];
        let id = delivery_id("j1", &events, "alerts", "slack");
        assert_eq!(id, delivery_id("j1", &events, "alerts", "slack"));
        for other in [
            delivery_id("j2", &events, "alerts", "slack"),
            delivery_id("j1", &events[..1], "alerts", "slack"),
            delivery_id("j1", &events, "alert", "sslack"),
        ] {
            assert_ne!(id, other);
        }
    }
}
