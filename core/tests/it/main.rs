//! Black-box tests in one binary: over files, HTTP, SSE and a real engine.

mod backup;
mod cli;
mod deploys;
mod events;
mod failures;
mod fanout;
mod faults;
mod files;
mod formats;
mod history;
mod http;
mod invariants;
mod keys;
mod kills;
mod lanes;
mod plugins;
mod previews;
mod process;
mod registries;
mod retention;
mod rollbacks;
mod sandbox;
mod schemas;
mod streams;
mod support;
mod watch;
