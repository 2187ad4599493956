//! Ports that are held while the instances behind them are replaced.
//!
//! [`DataPlane`] is the way to the process that holds them, `tiny-forge proxy`: it is
//! started when a lane first needs it, and goes on by itself when the server stops.
//! `keeper` sees that it runs and leads where the store says. `routes` tells what that
//! is; the process itself is the crate `tiny_forge_proxy`.

mod data_plane;
mod keeper;
mod launch;
mod routes;

pub use data_plane::{DataPlane, RoutingError};
pub use keeper::run;
pub use launch::{FOLDER, Launch, is_unit};
pub use routes::{listens, overlap, routes};
