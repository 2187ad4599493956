//! Events for the tests of this folder.

use crate::{
    events::FrameParts,
    model::{EventId, EventType, Severity, Timestamp},
    plugin_host::sandbox::GuestEvent,
};

/// Of an event so many seconds after 1970 began.
pub fn parts(second: u64) -> FrameParts<'static> {
    FrameParts {
        id: EventId(1),
        kind: EventType::InstanceStatus,
        severity: Severity::Error,
        time: Timestamp::from_unix_ms(0).plus_ms(second * 1_000),
        project: None,
        stage: None,
        instance: None,
        deploy: None,
    }
}

pub fn event(subject: &str, payload: &str) -> GuestEvent {
    GuestEvent {
        id: 1,
        kind: "instance_status".into(),
        time: String::new(),
        node: String::new(),
        subject: subject.into(),
        severity: Severity::Error,
        actor: String::new(),
        cause: None,
        payload: payload.into(),
        annotations: "{}".into(),
    }
}
