//! Black-box tests in one binary: real sockets, real HTTP, the real protocol.

mod connections;
mod handover;
mod process;
mod support;
mod switches;
