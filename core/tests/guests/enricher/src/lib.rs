//! An enricher that tells all that the contract shows of an event. Its `.wasm` of
//! each contract is kept: see `core/tests/it/plugins/golden/README.md`.

use serde::Deserialize;
use tiny_forge_plugin::{Description, Enricher, Event, Fault, Plugin, Value, json};

#[derive(Deserialize)]
struct Tell {
    /// Nothing is added to events of this project.
    silent: String,
}

impl Plugin for Tell {
    fn describe() -> Description {
        tiny_forge_plugin::description!()
    }
}

impl Enricher for Tell {
    fn enrich(&mut self, event: &Event) -> Result<Option<Value>, Fault> {
        let project = event.project();
        if project == Some(self.silent.as_str()) {
            return Ok(None);
        }
        Ok(Some(json!({
            "has_id": event.id > 0,
            "type": event.kind,
            "has_time": event.time.ends_with('Z'),
            "has_node": !event.node.is_empty(),
            "subject": event.subject,
            "severity": event.severity,
            "actor": event.actor,
            "cause": event.cause,
            "project": project,
            "annotations": event.annotations(),
        })))
    }
}

tiny_forge_plugin::export_enricher!(Tell);
