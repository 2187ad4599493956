//! The control socket: how the process is told what to hold.

pub mod client;
pub mod protocol;
pub mod session;
pub mod wire;
