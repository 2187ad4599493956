use tiny_forge::model::{Actor, NewEvent, Payload, Severity, Subject, SystemPayload};

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
