use tiny_forge::model::{
    Actor, NewEvent, Payload, Severity, Subject, SystemPayload, Timestamp, WatchGapPayload,
};

/// A fact that means nothing.
pub fn note(message: &str) -> NewEvent {
    let payload = SystemPayload {
        what: "note".into(),
        message: message.into(),
    };
    let subject = Subject::other("test");
    NewEvent::new(
        subject,
        Severity::Info,
        Actor::system("test"),
        Payload::System(payload),
    )
}

/// A fact of a type that is rare.
pub fn gap() -> NewEvent {
    let now = Timestamp::now();
    let payload = Payload::WatchGap(WatchGapPayload {
        from: now,
        to: now,
        reason: "test".into(),
    });
    NewEvent::new(
        Subject::other("engine"),
        Severity::Warning,
        Actor::system("test"),
        payload,
    )
}
