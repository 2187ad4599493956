//! What the tests share: a server, a client.

pub mod server;
pub mod sse;
