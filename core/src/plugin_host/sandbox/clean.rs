//! What a guest tells the host, fit to be kept, shown and passed on. A guest never sees a
//! secret: should it find one out all the same, say from a target that repeats it in
//! disguise, none of this carries it on. Nor is any text longer than somebody reads.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Decision, DeliveryOutcome, Description, Fault, FieldError, contract::json};
use crate::{
    model::Asked,
    plugin_host::{
        capabilities::{is_secret_name, written_origin},
        clip::visible,
    },
    scrub::Scrubber,
};

/// What an enricher may add to one event, as JSON.
const ANNOTATION_BYTES_MAX: usize = 32 << 10;
/// Origins and secrets that a plugin may ask for: what an operator would still read.
const ASKED_MAX: usize = 100;
/// Scheme, name of a host (253 at most) and port.
const ORIGIN_BYTES_MAX: usize = 300;
/// Of a reason or a description.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// Of a name or a version.
const NAME_BYTES_MAX: usize = 128;

pub(super) fn decision(decision: Decision, scrubber: &Scrubber) -> Decision {
    match decision {
        Decision::Keep => Decision::Keep,
        Decision::Drop(reason) => Decision::Drop(text(reason, scrubber)),
    }
}

pub(super) fn outcome(outcome: DeliveryOutcome, scrubber: &Scrubber) -> DeliveryOutcome {
    match outcome {
        DeliveryOutcome::Ok => DeliveryOutcome::Ok,
        DeliveryOutcome::Retry { after_ms, reason } => DeliveryOutcome::Retry {
            after_ms,
            reason: text(reason, scrubber),
        },
        DeliveryOutcome::Reject(reason) => DeliveryOutcome::Reject(text(reason, scrubber)),
    }
}

pub(super) fn field_errors(errors: Vec<FieldError>, scrubber: &Scrubber) -> Vec<FieldError> {
    let errors = errors.into_iter();
    errors
        .map(|FieldError { field, message }| FieldError {
            field: text(field, scrubber),
            message: text(message, scrubber),
        })
        .collect()
}

pub(super) fn description(told: Description, scrubber: &Scrubber) -> Result<Description, String> {
    check_asked(&told.asked)?;
    let Description {
        name,
        version,
        description,
        config_schema,
        mut asked,
    } = told;
    for origin in &mut asked.http {
        // As it would be granted, not as it would be read.
        let told = std::mem::take(origin);
        *origin = written_origin(&told).unwrap_or_else(|| text(told, scrubber));
    }
    for list in [&mut asked.http, &mut asked.secrets] {
        let mut seen = BTreeSet::new();
        list.retain(|name| seen.insert(name.clone()));
    }
    Ok(Description {
        name: self::name(name, scrubber),
        version: self::name(version, scrubber),
        description: text(description, scrubber),
        config_schema: value(config_schema, scrubber),
        asked,
    })
}

fn check_asked(asked: &Asked) -> Result<(), String> {
    let Asked {
        http,
        secrets,
        store: _,
    } = asked;
    let many = http.len() + secrets.len();
    if many > ASKED_MAX {
        return Err(format!(
            "it asks for {many} origins and secrets, and {ASKED_MAX} are the most"
        ));
    }
    if let Some(long) = http.iter().find(|origin| origin.len() > ORIGIN_BYTES_MAX) {
        return Err(format!(
            "it asks for an origin of {} bytes, and {ORIGIN_BYTES_MAX} are the most",
            long.len()
        ));
    }
    match secrets.iter().find(|name| !is_secret_name(name)) {
        Some(name) => Err(format!(
            "it asks for the secret `{name}`: a name has letters, digits and _, 64 at most"
        )),
        None => Ok(()),
    }
}

/// What is added has to fit into an event of its own.
pub(super) fn annotation(added: &str, scrubber: &Scrubber) -> Result<Map<String, Value>, String> {
    let too_many = |bytes: usize| {
        format!("{bytes} bytes of annotations are over the limit of {ANNOTATION_BYTES_MAX}")
    };
    if added.len() > ANNOTATION_BYTES_MAX {
        return Err(too_many(added.len()));
    }
    let added = object(json::object(added)?, scrubber);
    // As they are kept: a number may be longer there.
    match serde_json::to_string(&added).map(|kept| kept.len()) {
        Ok(bytes) if bytes <= ANNOTATION_BYTES_MAX => Ok(added),
        Ok(bytes) => Err(too_many(bytes)),
        Err(error) => Err(error.to_string()),
    }
}

fn text(told: String, scrubber: &Scrubber) -> String {
    visible(scrubber.scrub_beginning(told, TEXT_BYTES_MAX))
}

/// In one line.
fn name(told: String, scrubber: &Scrubber) -> String {
    let name = visible(scrubber.scrub_beginning(told, NAME_BYTES_MAX));
    name.replace(['\n', '\t'], " ")
}

fn object(object: Map<String, Value>, scrubber: &Scrubber) -> Map<String, Value> {
    let entries = object.into_iter();
    entries
        .map(|(key, inside)| (scrubber.scrub(key), value(inside, scrubber)))
        .collect()
}

fn value(told: Value, scrubber: &Scrubber) -> Value {
    match told {
        Value::String(text) => Value::String(scrubber.scrub(text)),
        Value::Array(items) => items.into_iter().map(|it| value(it, scrubber)).collect(),
        Value::Object(inside) => Value::Object(object(inside, scrubber)),
        other @ (Value::Null | Value::Bool(_)) => other,
        // A secret may be a number.
        Value::Number(number) if scrubber.finds(number.to_string().as_bytes()) => {
            Value::String(scrubber.scrub(number.to_string()))
        }
        other @ Value::Number(_) => other,
    }
}

pub(super) fn fault(fault: Fault, scrubber: &Scrubber) -> Fault {
    match fault {
        Fault::Trap {
            message,
            said,
            backtrace,
        } => Fault::Trap {
            message: text(message, scrubber),
            // A line of its log, which is clean.
            said,
            backtrace: backtrace
                .into_iter()
                .map(|frame| visible(scrubber.scrub_beginning(frame, NAME_BYTES_MAX * 2)))
                .collect(),
        },
        Fault::Refused(told) => Fault::Refused(text(told, scrubber)),
        Fault::BadAnswer(told) => Fault::BadAnswer(text(told, scrubber)),
        Fault::Host(told) => Fault::Host(text(told, scrubber)),
        limit @ (Fault::OverMemory { .. }
        | Fault::OverTables { .. }
        | Fault::OverParts { .. }
        | Fault::OverCpu { .. }
        | Fault::OverStartCpu { .. }
        | Fault::OverWall { .. }
        | Fault::HostCalls { .. }
        | Fault::Handles { .. }
        | Fault::Output { .. }
        // Told before any of its code has run.
        | Fault::Misfit { .. }
        | Fault::Dead) => limit,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Decision, DeliveryOutcome, Fault, decision, fault, object, outcome};
    use crate::scrub::Scrubber;

    #[test]
    fn what_a_guest_tells_is_no_longer_than_somebody_reads() {
        let scrubber = Scrubber::default();
        let endless = || "ö".repeat(1 << 20);
        for told in [
            outcome(DeliveryOutcome::Reject(endless()), &scrubber),
            outcome(
                DeliveryOutcome::Retry {
                    after_ms: None,
                    reason: endless(),
                },
                &scrubber,
            ),
        ] {
            let (DeliveryOutcome::Reject(reason) | DeliveryOutcome::Retry { reason, .. }) = told
            else {
                panic!("{told:?}");
            };
            assert!(reason.len() < 5_000 && reason.ends_with("ö…"));
        }
        let Fault::Refused(told) = fault(Fault::Refused(endless()), &scrubber) else {
            panic!("another fault");
        };
        assert!(told.len() < 5_000);
    }

    #[test]
    fn what_a_guest_tells_moves_no_cursor_and_turns_no_text() {
        let told = Fault::Refused("a\u{1b}[8mb\r\u{202e}c\nd\te".into());
        let shown = "a\u{fffd}[8mb\u{fffd}\u{fffd}c\nd\te".into();
        assert_eq!(fault(told, &Scrubber::default()), Fault::Refused(shown));
    }

    #[test]
    fn nothing_that_a_guest_tells_carries_a_secret_on() {
        let scrubber = Scrubber::new(["correct-horse", "123456789"]);
        let told = json!({"a": ["correct-horse", {"correct-horse": 123456789}], "b": 1, "c": null});
        let told = told.as_object().cloned().expect("an object");
        assert_eq!(
            json!(object(told, &scrubber)),
            json!({"a": ["(secret)", {"(secret)": "(secret)"}], "b": 1, "c": null})
        );
        let text = || "because correct-horse".to_owned();
        let clean = "because (secret)".to_owned();
        assert_eq!(
            decision(Decision::Drop(text()), &scrubber),
            Decision::Drop(clean.clone())
        );
        assert_eq!(
            outcome(DeliveryOutcome::Reject(text()), &scrubber),
            DeliveryOutcome::Reject(clean.clone())
        );
        for (told, expected) in [
            (Fault::Refused(text()), Fault::Refused(clean.clone())),
            (Fault::BadAnswer(text()), Fault::BadAnswer(clean.clone())),
        ] {
            assert_eq!(fault(told, &scrubber), expected);
        }
    }
}
