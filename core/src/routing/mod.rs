//! Ports that are held while the instances behind them are replaced.
//!
//! [`DataPlane`] is the way to the process that holds them, `tiny-forge proxy`: it is
//! started when a lane first needs it, and goes on by itself when the server stops.
//! [`Caddy`] is the same for domains, in front of it. `keeper` sees that both run and
//! lead where the store says. `routes` tells what that is; the process itself is the
//! crate `tiny_forge_proxy`. `detached` is how both outlive the server.

mod caddy;
mod data_plane;
mod detached;
mod keeper;
mod launch;
mod routes;

pub use caddy::{Caddy, CaddyError, CaddyHome, CaddySettings, Certificates, Site, become_caddy};
pub use data_plane::{DataPlane, RoutingError};
pub use keeper::run;
pub use launch::{FOLDER, Launch, is_unit};
pub use routes::{doors, listens, overlap, routes, sites};
