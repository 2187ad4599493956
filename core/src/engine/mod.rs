//! Docker: the only user of bollard. Knows neither bus nor store.
//!
//! [`Engine`] is a handle that may be used whether or not the engine is there;
//! `run` keeps its connection. Calls have timeouts of their own. `watch` turns
//! the engine's events and listings into observations.

mod address;
mod client;
mod containers;
mod convert;
mod error;
mod hint;
mod image_labels;
mod images;
mod lines;
mod logs;
mod network;
mod seen;
mod watch;

pub use address::addresses;
pub use client::{Connection, Engine, EngineState};
pub use containers::{ContainerSpec, Inspection};
pub use convert::{LABEL_DEPLOY, LABEL_GENERATION, LABEL_PROJECT, LABEL_SPEC_HASH, LABEL_STAGE};
pub use error::EngineError;
pub use hint::Hint;
pub use image_labels::image_labels;
pub use images::{Image, Login, PullUpdate, tagged};
pub use logs::OutputLine;
pub use network::{OwnNetwork, Place};
pub use watch::{Observation, watch};
