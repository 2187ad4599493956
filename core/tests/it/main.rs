//! Black-box tests in one binary: over files, HTTP, SSE and a real engine.

mod cli;
mod deploys;
mod events;
mod http;
mod invariants;
mod streams;
mod support;
mod watch;
