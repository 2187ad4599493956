//! Write plugins for tiny-forge: filters, enrichers and sinks, each one small
//! WebAssembly component that runs in a sandbox on the server.
//!
//! A plugin is a struct that is read from its configuration, one trait for its
//! role, and one line that exports it. This is a whole one:
//!
//! ```
//! use tiny_forge_plugin::{Delivery, Description, Outcome, Plugin, Sink, http};
//!
//! #[derive(serde::Deserialize)]
//! struct Hook {
//!     url: String,
//! }
//!
//! impl Plugin for Hook {
//!     fn describe() -> Description {
//!         tiny_forge_plugin::description!("Posts events as JSON")
//!     }
//! }
//!
//! impl Sink for Hook {
//!     fn deliver(&mut self, delivery: &Delivery) -> Outcome {
//!         http::Request::post(&self.url).json(&delivery.events).send().into()
//!     }
//! }
//!
//! tiny_forge_plugin::export_sink!(Hook);
//! ```
//!
//! `tiny-forge plugin build` makes one `.wasm` of such a crate. The README of this
//! crate goes through it step by step; `examples/` has one plugin of each role.
//!
//! # What a plugin can do
//! Compute, and call the host: [`http`] to granted origins, [`sign`] with secrets
//! that it never sees, [`store`], [`clock`], [`log`]. There are no files, sockets,
//! threads or environment; what of `std` needs them fails or panics. There are no random
//! numbers, so what outsiders choose as keys belongs into a `BTreeMap`. Memory is allocated
//! by an allocator of this crate, which is fast for what a call needs. A panic ends the
//! call, is written to the plugin's log, and the host starts the plugin anew.
//!
//! # Tests
//! The crate compiles for your own machine as well, so `cargo test` works; see
//! [`testing`].

// The export macros and the generated code name this crate from outside.
extern crate self as tiny_forge_plugin;

#[doc(hidden)]
pub mod bindings;
mod delivery;
mod description;
mod event;
mod export;
mod guest;
#[cfg(any(test, target_family = "wasm"))]
#[allow(unsafe_code, reason = "an allocator")]
mod heap;
mod host;
mod plugin;
mod severity;

pub mod clock;
pub mod http;
pub mod log;
pub mod sign;
pub mod store;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod text;

pub use delivery::{Delivery, Outcome};
pub use description::Description;
pub use event::{Event, PayloadError};
pub use plugin::{Decision, Enricher, Fault, FieldError, Filter, Plugin, Sink};
pub use serde_json::{Value, json};
pub use severity::Severity;

use std::fmt;

#[cfg(target_family = "wasm")]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

/// The host refused, and says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostError(pub String);

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostError {}

/// For the export macros only.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings;
    pub use crate::guest::Slot;
    pub use wit_bindgen;
}
