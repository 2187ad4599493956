//! A pipeline: which events pass which steps to which sinks.
//!
//! One task per pipeline reads the journal from its cursor. The cursor moves in
//! the transaction that stores what was decided: deliveries, drops,
//! annotations, and what the plugins wrote. So a crash at any point repeats a
//! decision at most, never loses an event, and never stores a delivery twice.

mod admission;
mod batch;
mod change;
mod decide;
mod dry;
mod gap;
mod once;
mod patience;
mod run;
#[cfg(test)]
mod samples;
mod status;
mod task;
mod trail;
mod when;

pub use dry::{Considered, DryPipeline};
pub use once::OncePer;
pub use status::PipelineStatus;
pub use task::{PipelineTask, SinkQueue};
pub use when::Matcher;
