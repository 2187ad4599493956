//! What the host lends a guest: one file or folder per capability, each with
//! its policy and its side of the contract.

mod clock;
mod http;
mod log;
mod rehearsal;
mod secrets;
mod sign;
mod store;

pub use http::{GrantError, HttpAccess, HttpGrants, Trust, is_granted, origin_of, written_origin};
pub use log::PluginLog;
pub use rehearsal::Rehearsal;
pub use secrets::{SecretValue, Secrets, is_secret_name, named_in as secrets_named_in};
pub use store::PluginValues;

pub(super) use store::PendingWrites;
