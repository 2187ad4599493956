//! One JSON object a line (`application/x-ndjson`).
//!
//! A line with `control` is the stream's own word, any other is an event. Each
//! line from which a client can go on has its `position`: `?after=` takes it.

use serde_json::json;

use crate::{
    events::{Control, Frame},
    model::Position,
};

pub const MEDIA_TYPE: &str = "application/x-ndjson";

/// The stored JSON, with the position as its first member.
pub fn write_event(journal: &str, frame: &Frame, out: &mut Vec<u8>) {
    let position = Position {
        journal: journal.to_owned(),
        id: frame.id(),
    };
    let members = frame.json().strip_prefix('{').unwrap_or_default();
    let line = format!("{{\"position\":{},{members}\n", json!(position.to_string()));
    out.extend_from_slice(line.as_bytes());
}

pub fn control(control: &Control) -> String {
    let mut line = control.data();
    line["control"] = json!(control.name());
    if let Some(position) = control.position() {
        line["position"] = json!(position.to_string());
    }
    if let Some(retry_ms) = control.retry_ms() {
        line["retry_ms"] = json!(retry_ms);
    }
    format!("{line}\n")
}
