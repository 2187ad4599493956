//! Servers that the benchmark brings along: the limit of the machine, and what
//! one writes without thinking about it.

pub mod naive;
pub mod raw;

use serde::Serialize;

/// An event with the members and the size of tiny-forge's.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    id: u32,
    time: &'static str,
    recorded: &'static str,
    node: &'static str,
    subject: &'static str,
    severity: &'static str,
    actor: Actor,
    payload: Payload,
}

#[derive(Debug, Clone, Serialize)]
struct Actor {
    kind: &'static str,
    name: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Payload {
    r#type: &'static str,
    what: &'static str,
    message: String,
}

impl Event {
    pub fn new(id: u32, message: String) -> Self {
        Self {
            id,
            time: "2026-01-01T00:00:00.000000Z",
            recorded: "2026-01-01T00:00:00.000000Z",
            node: "n0123456789abcdef",
            subject: "bench",
            severity: "info",
            actor: Actor {
                kind: "system",
                name: "bench",
            },
            payload: Payload {
                r#type: "system",
                what: "bench",
                message,
            },
        }
    }
}

pub fn json(id: u32, message: String) -> String {
    serde_json::to_string(&Event::new(id, message)).expect("it has only string keys")
}
