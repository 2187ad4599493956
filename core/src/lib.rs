//! tiny-forge: a self-hosted, plugin-extensible runtime for Docker.
//!
//! In reading order: what the words mean, what is kept, how facts travel, who
//! produces them, who consumes them, and what ties it together.

pub mod config;

pub use tiny_forge_model as model;

pub mod scrub;

pub mod failpoint;

pub mod store;

pub mod events;

pub mod engine;

pub mod instances;

pub mod routing;

pub mod deploys;

pub mod plugin_host;

pub mod api;

pub mod app;

pub mod cli;

/// glibc keeps what a burst took, for each thread that had a part in it; this one
/// gives it back to the system, as `.cargo/config.toml` says.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
