//! A guest never sees a secret. Should it find one out all the same, say from a
//! target that repeats it in disguise, none of what it tells the host carries it on.

use serde_json::{Map, Value};

use super::{Decision, DeliveryOutcome, Description, Fault, FieldError};
use crate::scrub::Scrubber;

pub(super) fn decision(decision: Decision, scrubber: &Scrubber) -> Decision {
    match decision {
        Decision::Keep => Decision::Keep,
        Decision::Drop(reason) => Decision::Drop(scrubber.scrub(reason)),
    }
}

pub(super) fn outcome(outcome: DeliveryOutcome, scrubber: &Scrubber) -> DeliveryOutcome {
    match outcome {
        DeliveryOutcome::Ok => DeliveryOutcome::Ok,
        DeliveryOutcome::Retry { after_ms, reason } => DeliveryOutcome::Retry {
            after_ms,
            reason: scrubber.scrub(reason),
        },
        DeliveryOutcome::Reject(reason) => DeliveryOutcome::Reject(scrubber.scrub(reason)),
    }
}

pub(super) fn field_errors(errors: Vec<FieldError>, scrubber: &Scrubber) -> Vec<FieldError> {
    let errors = errors.into_iter();
    errors
        .map(|FieldError { field, message }| FieldError {
            field: scrubber.scrub(field),
            message: scrubber.scrub(message),
        })
        .collect()
}

pub(super) fn description(told: Description, scrubber: &Scrubber) -> Description {
    let Description {
        name,
        version,
        description,
        config_schema,
        mut asked,
    } = told;
    for text in asked.http.iter_mut().chain(&mut asked.secrets) {
        *text = scrubber.scrub(std::mem::take(text));
    }
    Description {
        name: scrubber.scrub(name),
        version: scrubber.scrub(version),
        description: scrubber.scrub(description),
        config_schema: value(config_schema, scrubber),
        asked,
    }
}

pub(super) fn object(object: Map<String, Value>, scrubber: &Scrubber) -> Map<String, Value> {
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
        Fault::Trap { message, backtrace } => Fault::Trap {
            message: scrubber.scrub(message),
            backtrace,
        },
        Fault::Refused(text) => Fault::Refused(scrubber.scrub(text)),
        Fault::BadAnswer(text) => Fault::BadAnswer(scrubber.scrub(text)),
        Fault::Host(text) => Fault::Host(scrubber.scrub(text)),
        limit @ (Fault::OverMemory { .. }
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
