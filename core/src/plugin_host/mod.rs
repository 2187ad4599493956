//! Plugins: untrusted components, what they may use, and who calls them.
//!
//! The only user of wasmtime. In reading order: what a guest runs in, what it
//! is lent, how its file becomes machine code, what is counted of it, what the
//! operator configures, how a plugin is kept running, how events pass through
//! pipelines to sinks, and the host that ties these to the plugins folder.

pub mod sandbox;

pub mod capabilities;

pub mod compile;

pub mod metrics;

mod builtin;
mod clip;
mod config;
mod folder;

mod event;
pub mod plugin;

mod delivery;
mod pipeline;

mod dry_run;

mod error;
mod forget;
mod grant;
mod host;
mod inspect;
mod live;
mod reconcile;
mod replay;
mod secrets;
mod view;
mod watch;

pub use dry_run::Tried;
pub use error::HostError;
pub use forget::ForgetAfter;
pub use host::{HostParts, PluginHost};
pub use inspect::{Inspected, inspect};
