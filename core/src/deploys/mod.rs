//! Projects and their deploys.
//!
//! [`Deploys`] is the one door for commands. `queue` gives each lane one deploy
//! at a time; `run` reads as the numbered walkthrough in ARCHITECTURE.md;
//! `recover` ends what a stop of the server interrupted.

mod error;
mod gate;
mod journal;
mod log_budget;
mod output;
mod own_container;
mod plan;
mod probe;
mod projects;
mod pull;
mod queue;
mod recover;
mod run;
mod service;
mod switch;

pub use error::DeployError;
pub use queue::run;
pub use service::Deploys;
