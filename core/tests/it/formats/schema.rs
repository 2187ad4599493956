//! Types, schema and frames are the same.

use serde_json::{Map, Value, json};
use tiny_forge::{
    api::format::{CloudEvent, Format},
    events::Control,
    model::{Event, EventType},
};

use super::samples::{self, JOURNAL};

#[test]
fn what_an_event_carries_is_what_the_schema_says_and_no_more() {
    for kind in EventType::ALL {
        let event = serde_json::to_value(samples::event(kind)).expect("JSON");
        check("Event", false, &event);
        check(payload_schema(kind), true, &event["payload"]);
    }
}

#[test]
fn a_cloud_event_is_what_the_schema_says_and_carries_the_same_payload() {
    for kind in EventType::ALL {
        let event = samples::event(kind);
        let cloud_event = CloudEvent::new(JOURNAL, samples::frame(&event).json());
        let cloud_event = serde_json::to_value(cloud_event.expect("readable")).expect("JSON");
        check("CloudEvent", true, &cloud_event);
        let plain = serde_json::to_value(&event).expect("JSON");
        assert_eq!(cloud_event["data"], plain["payload"]);
    }
}

#[test]
fn a_line_is_the_event_and_its_position() {
    for kind in EventType::ALL {
        let event = samples::event(kind);
        let mut line = Vec::new();
        Format::Ndjson
            .write_event(JOURNAL, &samples::frame(&event), &mut line)
            .expect("a line");
        let value: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(value["position"], format!("{JOURNAL}-{}", event.id));
        let read: Event = serde_json::from_value(value).expect("an event");
        assert_eq!(read, event);
    }
}

#[test]
fn what_a_stream_says_of_itself_is_what_the_schema_says_and_no_more() {
    for control in samples::controls() {
        let schema = match control {
            Control::Hello { .. } => "Hello",
            Control::Bookmark { .. } => "Bookmark",
            Control::Reset(_) => "Reset",
            Control::End | Control::Farewell { .. } => {
                assert_eq!(control.data(), json!({}));
                continue;
            }
        };
        check(schema, true, &control.data());
    }
}

fn payload_schema(kind: EventType) -> &'static str {
    match kind {
        EventType::DeployLog => "DeployLogPayload",
        EventType::DeployStatus => "DeployStatusPayload",
        EventType::InstanceStatus => "InstanceStatusPayload",
        EventType::ProjectStatus => "ProjectStatusPayload",
        EventType::EventAnnotated => "EventAnnotatedPayload",
        EventType::PluginStatus => "PluginStatusPayload",
        EventType::DeliveryStatus => "DeliveryStatusPayload",
        EventType::WatchGap => "WatchGapPayload",
        EventType::Audit => "AuditPayload",
        EventType::System => "SystemPayload",
    }
}

/// `is_closed`: members that the schema does not name are wrong.
fn check(schema: &str, is_closed: bool, value: &Value) {
    let document: Value =
        serde_json::from_str(include_str!("../../../openapi.json")).expect("a description");
    let mut components = document["components"].clone();
    let schemas = components["schemas"].as_object_mut().expect("schemas");
    assert!(schemas.contains_key(schema), "{schema} is described");
    if is_closed {
        close(schemas);
    }
    let root = json!({"$ref": format!("#/components/schemas/{schema}"), "components": components});
    let validator = jsonschema::validator_for(&root).expect("a schema");
    let wrong: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{schema}: {wrong:?}");
}

fn close(schemas: &mut Map<String, Value>) {
    for schema in schemas.values_mut() {
        if schema.get("properties").is_some() {
            schema["additionalProperties"] = json!(false);
        }
    }
}
