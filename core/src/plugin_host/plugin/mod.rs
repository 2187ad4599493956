//! One configured plugin: how its versions are prepared, what is known of it,
//! and how those who use it keep a guest of it running.
//!
//! [`Supervisor`] prepares each version that the folder asks for and publishes
//! the good ones. A [`Runner`], one for each place that uses the plugin, owns a
//! guest and changes over to a new version between two events.

mod asks;
mod grants;
mod kept;
mod prepare;
mod prepare_error;
mod rest;
mod runner;
mod schema;
mod secrets;
mod status;
mod supervisor;

use std::sync::Arc;

use tokio::sync::watch;

pub use asks::add_configured;
pub use grants::suggest as suggest_toml;
pub use kept::KeptFiles;
pub use prepare::Kit;
pub use runner::{RunError, Runner};
pub use schema::{Problem as SchemaProblem, check_apart};
pub use secrets::SecretFiles;
pub use status::PluginStatus;
pub use supervisor::{Supervisor, Wanted};

use super::sandbox::{Module, Setup};
use crate::model::PluginRole;

/// A version that has been compiled, described and configured once without
/// complaint.
pub struct Version {
    /// As the plugin says it.
    pub number: String,
    pub module: Module,
    pub setup: Setup,
    /// JSON for `configure`.
    pub config: String,
}

impl Version {
    /// For texts: `version 1.2.3 (sha256 3f2a91c0d4e1)`; without what has no number.
    pub fn label(&self) -> String {
        label(&self.number, self.module.digest())
    }

    /// For a pipeline that names it in a place of another role.
    pub fn misplaced(&self, plugin: &str) -> String {
        let (label, role) = (self.label(), self.module.role());
        let place = match role {
            PluginRole::Filter | PluginRole::Enricher => "steps",
            PluginRole::Sink => "sinks",
        };
        let role = role.as_str();
        format!("`{plugin}`, {label}, has the role {role}: name it under `{place}`")
    }
}

fn label(number: &str, digest: &str) -> String {
    match number {
        "" => short(digest),
        number => format!("version {number} ({})", short(digest)),
    }
}

/// As much of a digest as tells files apart.
fn short(digest: &str) -> String {
    format!("sha256 {}", digest.get(..12).unwrap_or(digest))
}

/// The version to use now; none when the plugin cannot be used.
pub type Versions = watch::Receiver<Option<Arc<Version>>>;
