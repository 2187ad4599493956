//! Projects and their deploys.
//!
//! [`Deploys`] is the one door for commands; `admit` gives a wish its place in the
//! queue, and `preview` says what would come of it. `queue` gives each lane one
//! deploy at a time; `run` reads as the numbered walkthrough in ARCHITECTURE.md, and
//! goes on where a stop of the server interrupted it. `switch` makes the new instance
//! the one that serves, with `hold`, `doors` and `confirm` where the data plane holds the
//! ports, and `drain` before the old one goes; `bake` watches it, `rollback` reverses the
//! switch.

mod admit;
mod bake;
mod candidate;
mod confirm;
mod domains;
mod doors;
mod drain;
mod error;
mod gate;
mod hold;
mod holdable;
mod interrupted;
mod journal;
mod log_budget;
mod output;
mod own_container;
mod plan;
mod preview;
mod probe;
mod projects;
mod pull;
mod queue;
mod registry;
mod rollback;
mod run;
mod service;
mod situation;
mod spec_diff;
mod step;
mod switch;

pub use admit::{IfBusy, Wish};
pub use error::DeployError;
pub use queue::run;
pub use service::{Caps, DeployParts, Deploys};
