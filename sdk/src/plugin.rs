use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Delivery, Description, Event, Outcome};

/// What every plugin is: a struct that is read from its configuration.
///
/// The host checks the configuration against the schema in the [`Description`],
/// then it is deserialised into the plugin. A value that does not fit is shown
/// to the operator with its place, also where your own `Deserialize` or
/// `#[serde(try_from = …)]` refuses it. State that is no configuration goes into
/// fields with `#[serde(skip)]`.
pub trait Plugin: DeserializeOwned + 'static {
    /// Name, version, one sentence, the schema of the configuration, and what it
    /// asks the operator for.
    fn describe() -> Description;

    /// What is wrong with a configuration beyond what the types say; nothing by
    /// default.
    fn check(&self) -> Vec<FieldError> {
        Vec::new()
    }
}

/// Decides whether an event goes on in its pipeline.
pub trait Filter: Plugin {
    /// A dropped event stays in the journal; the reason is shown to people.
    ///
    /// # Errors
    /// An error is a fault of the plugin: the pipeline's `on_error` decides.
    fn filter(&mut self, event: &Event) -> Result<Decision, Fault>;
}

/// Adds facts to an event.
pub trait Enricher: Plugin {
    /// A JSON object, put under the plugin's name in the event's annotations.
    /// `None` adds nothing.
    ///
    /// # Errors
    /// An error is a fault of the plugin: the pipeline's `on_error` decides.
    fn enrich(&mut self, event: &Event) -> Result<Option<Value>, Fault>;
}

/// Sends events somewhere.
pub trait Sink: Plugin {
    /// Sends all events of the delivery, or says why not. An answer of
    /// [`http::Request::send`](crate::http::Request::send) becomes an [`Outcome`]
    /// with `.into()`.
    fn deliver(&mut self, delivery: &Delivery) -> Outcome;
}

/// What a filter says about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Keep,
    /// Why: shown on the dashboard and in the event's trace.
    Drop(String),
}

impl Decision {
    /// Drops with a reason.
    pub fn drop(reason: impl Into<String>) -> Self {
        Self::Drop(reason.into())
    }
}

/// Why a call of a filter or an enricher failed: any error, or a text by
/// `.into()`.
pub type Fault = Box<dyn std::error::Error>;

/// What is wrong with one value of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer into the configuration, e.g. `/url`; empty for the whole.
    pub field: String,
    /// What is wrong and what would be right, lower-case, no final full stop.
    pub message: String,
}

impl FieldError {
    /// An error at a JSON pointer, e.g. `FieldError::new("/url", "is empty")`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}
