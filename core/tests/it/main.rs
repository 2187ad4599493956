//! Black-box tests in one binary: over files, HTTP, SSE and a real engine.

mod cli;
mod deploys;
mod events;
mod failures;
mod fanout;
mod faults;
mod files;
mod formats;
mod http;
mod invariants;
mod kills;
mod lanes;
mod plugins;
mod process;
mod sandbox;
mod streams;
mod support;
mod watch;
