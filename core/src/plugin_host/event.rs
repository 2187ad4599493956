//! Events as guests see them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::sandbox::GuestEvent;
use crate::{
    events::Frame,
    model::{Actor, ActorKind, Severity},
    store::StoreError,
};

/// The journal's JSON; the payload stays the text that it is.
#[derive(Deserialize)]
struct Wire<'a> {
    id: u64,
    #[serde(rename = "type")]
    kind: &'a str,
    time: &'a str,
    node: &'a str,
    subject: String,
    severity: Severity,
    actor: Actor,
    #[serde(default)]
    cause: Option<u64>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// A frame in the contract's shape, without annotations.
pub fn guest_event(frame: &Frame) -> Result<GuestEvent, StoreError> {
    let wire: Wire<'_> = serde_json::from_str(frame.json())?;
    let actor_kind = match wire.actor.kind {
        ActorKind::User => "user",
        ActorKind::System => "system",
        ActorKind::Plugin => "plugin",
    };
    Ok(GuestEvent {
        id: wire.id,
        kind: wire.kind.to_owned(),
        time: wire.time.to_owned(),
        node: wire.node.to_owned(),
        subject: wire.subject,
        severity: wire.severity,
        actor: format!("{actor_kind}:{}", wire.actor.name),
        cause: wire.cause,
        payload: wire.payload.get().to_owned(),
        annotations: "{}".to_owned(),
    })
}
