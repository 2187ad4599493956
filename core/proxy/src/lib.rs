//! The data plane: holds the published ports of the host, and forwards TCP to
//! containers.
//!
//! A container that publishes a port itself takes the port with it when it is
//! replaced. Here a process of ours holds the port, so a deploy turns a
//! [`Route`] to the new container and nobody is refused meanwhile. The process
//! is small and on its own: it survives stop, crash and upgrade of the server,
//! and holds everything again by itself after a reboot.
//!
//! **A deploy.** [`Client::put`] leads new connections to the new container; the
//! answer comes once that is durable and in force. [`Client::drain`] waits until
//! nobody talks to the old container any more, and cuts what is left at its
//! deadline. Then the old container can be stopped.
//!
//! **A connection** is forwarded as it is: bytes are neither changed nor delayed.
//! Where they are HTTP/1.x, both directions are followed, so that it is known
//! when a connection is idle. An idle connection holds up no drain: it leaves the
//! old container at once, and the client's next request goes to the new one. To
//! close it would race with that request. Whatever cannot be followed for certain
//! (WebSockets, TLS, databases, HTTP/2) stays where it is until it ends.
//!
//! **An upgrade.** [`serve`] with [`Start::TakeOver`] gets the listening sockets
//! from the running process. That one sends its idle clients after them, and ends
//! with the last connection that it could not pass on.
//!
//! An app sees the address of this process as its client's. (The PROXY protocol
//! would tell the real one, to apps that know it.)

mod handover;
mod home;
mod limits;
mod lodging;
mod serve;

mod control;

mod route;
mod route_file;
mod table;

mod holder;
mod keepalive;
mod listening;
mod switch;
mod upstream;

mod connection;
mod http;

pub use control::{
    client::{Client, ClientError},
    protocol::{Drained, Hello, Mismatch, PROTOCOL, Reason, Refusal, Stop},
    wire::WireError,
};
pub use handover::TakeOverError;
pub use home::HomeError;
pub use limits::descriptors_max;
pub use route::{BadRoute, Route, RouteStatus, UpstreamStatus};
pub use route_file::BadRouteFile;
pub use serve::{Ended, ServeError, Start, serve};
pub use table::can_listen;
