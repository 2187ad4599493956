//! Between the contract and a plugin: what the export macros call.

use std::cell::RefCell;
use std::fmt::Write;

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::bindings::common::exports::tiny_forge::plugin::plugin as wire;
use crate::bindings::common::tiny_forge::plugin::types;
use crate::bindings::filter::exports::tiny_forge::plugin::filter_role;
use crate::bindings::sink::exports::tiny_forge::plugin::sink_role;
use crate::{Decision, Delivery, Enricher, Event, FieldError, Filter, Outcome, Plugin, Sink};

/// Where a component keeps its plugin, once it is configured.
pub struct Slot<P>(RefCell<Option<P>>);

impl<P: Plugin> Slot<P> {
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    pub fn configure(&self, config: &str) -> Result<(), Vec<wire::FieldError>> {
        #[cfg(target_family = "wasm")]
        std::panic::set_hook(Box::new(|panic| crate::log::error(panic)));

        let plugin = read_config::<P>(config).map_err(|errors| {
            let to_wire = |FieldError { field, message }| wire::FieldError { field, message };
            errors.into_iter().map(to_wire).collect::<Vec<_>>()
        })?;
        self.0.replace(Some(plugin));
        Ok(())
    }

    fn with<T>(&self, call: impl FnOnce(&mut P) -> T) -> T {
        let mut plugin = self.0.borrow_mut();
        call(
            plugin
                .as_mut()
                .expect("the contract has the host configure first"),
        )
    }
}

impl<P: Filter> Slot<P> {
    pub fn filter(&self, event: Event) -> Result<filter_role::Decision, String> {
        match self.with(|plugin| plugin.filter(&event)) {
            Ok(Decision::Keep) => Ok(filter_role::Decision::Keep),
            Ok(Decision::Drop(reason)) => Ok(filter_role::Decision::Drop(reason)),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

impl<P: Enricher> Slot<P> {
    pub fn enrich(&self, event: types::Event) -> Result<Option<String>, String> {
        match self.with(|plugin| plugin.enrich(&Event::from(event))) {
            Ok(None) => Ok(None),
            Ok(Some(object @ Value::Object(_))) => Ok(Some(object.to_string())),
            Ok(Some(other)) => Err(format!("an annotation is a JSON object, not {other}")),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

impl<P: Sink> Slot<P> {
    pub fn deliver(
        &self,
        context: sink_role::Context,
        events: Vec<types::Event>,
    ) -> sink_role::Outcome {
        let delivery = Delivery {
            id: context.delivery_id,
            attempt: context.attempt,
            first_attempt: context.first_attempt,
            test: context.test,
            public_url: context.public_url,
            events: events.into_iter().map(Event::from).collect(),
        };
        match self.with(|plugin| plugin.deliver(&delivery)) {
            Outcome::Ok => sink_role::Outcome::Ok,
            Outcome::Retry { after, reason } => sink_role::Outcome::Retry(sink_role::Retry {
                after_ms: after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
                reason,
            }),
            Outcome::Reject { reason } => sink_role::Outcome::Reject(reason),
        }
    }
}

/// A plugin from the JSON text of its configuration.
pub(crate) fn read_config<P: Plugin>(config: &str) -> Result<P, Vec<FieldError>> {
    let mut json = serde_json::Deserializer::from_str(config);
    let plugin: P = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        vec![FieldError::new(
            pointer(error.path()),
            message(error.inner()),
        )]
    })?;
    match plugin.check() {
        errors if errors.is_empty() => Ok(plugin),
        errors => Err(errors),
    }
}

/// A path as a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let written = match segment {
            Segment::Seq { index } => write!(pointer, "/{index}"),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Unknown => break,
        };
        written.expect("a string takes all text");
    }
    pointer
}

/// Without the line and column of a text that the operator never wrote.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::read_config;
    use crate::{Description, FieldError, Plugin, description};

    #[derive(Debug, Deserialize)]
    struct Rules {
        #[serde(rename = "rule")]
        rules: Vec<Rule>,
    }

    #[derive(Debug, Deserialize)]
    struct Rule {
        name: String,
        #[serde(rename = "max/s")]
        max_per_second: u32,
    }

    impl Plugin for Rules {
        fn describe() -> Description {
            description!()
        }

        fn check(&self) -> Vec<FieldError> {
            let unnamed = self.rules.iter().position(|rule| rule.name.is_empty());
            let unlimited = self.rules.iter().all(|rule| rule.max_per_second == 0);
            [
                unnamed.map(|at| FieldError::new(format!("/rule/{at}/name"), "is empty")),
                unlimited.then(|| FieldError::new("", "limits nothing")),
            ]
            .into_iter()
            .flatten()
            .collect()
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_by_its_json_pointer() {
        let config = r#"{"rule":[{"name":"a","max/s":1},{"name":"b","max/s":"2"}]}"#;
        assert_eq!(
            read_config::<Rules>(config).expect_err("wrong type"),
            [FieldError::new(
                "/rule/1/max~1s",
                "invalid type: string \"2\", expected u32"
            )]
        );
    }

    #[test]
    fn all_that_check_finds_is_told() {
        let config = r#"{"rule":[{"name":"","max/s":0}]}"#;
        assert_eq!(
            read_config::<Rules>(config).expect_err("checked"),
            [
                FieldError::new("/rule/0/name", "is empty"),
                FieldError::new("", "limits nothing")
            ]
        );
    }
}
