//! Where guests run: no WASI, and a limit on everything.
//!
//! One [`Sandbox`] per server holds the engine. A compiled file becomes a
//! [`Module`], whose role and contract are known before any of its code runs. A
//! [`Guest`] is one instance with a memory of its own; one task owns it, and
//! after a [`Fault`] it is dropped and made anew.

mod call;
mod clean;
mod contract;
mod engine;
mod fault;
mod guest;
mod limits;
mod load_error;
mod meter;
mod module;
mod setup;
mod state;
mod ticker;
mod words;

pub use engine::{Sandbox, SandboxError};
pub use fault::Fault;
pub use guest::Guest;
pub use limits::{INSTANCES_MAX, Limits};
pub use load_error::LoadError;
pub use module::Module;
pub use setup::Setup;
pub use words::{Decision, DeliveryContext, DeliveryOutcome, Description, FieldError, GuestEvent};

pub(super) use contract::v1;
pub(super) use engine::engine;
pub(super) use state::HostState;
