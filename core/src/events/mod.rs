//! The bus: facts go in, are written to the journal, and fan out.
//!
//! `Bus::publish` enqueues for the writer thread of the store. What has been
//! committed is appended to the [`Log`], the newest part of the journal in
//! memory. A [`Subscription`] is nothing but a cursor: it reads on from the
//! log, or from the journal where it has fallen behind, so nobody who is slow
//! holds up anybody else.

mod bus;
mod filter;
mod frame;
mod log;
mod subscription;

pub use bus::Bus;
pub use filter::Filter;
pub use frame::{Frame, FrameParts};
pub use log::Log;
pub use subscription::{Next, ResetReason, Start, Subscription};
