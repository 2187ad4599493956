//! What is known of every container: folded from what the engine shows into
//! rows and `instance_status` events, in one transaction each.
//!
//! Events of the engine are hints; the truth is inspected. Every so often all
//! is compared, and differences that no event told of are published too.

mod change;
mod compare;
mod crash_loop;
mod engine_events;
mod event;
mod heard;
mod keep;
mod last_words;
mod planned;
mod told;
mod watcher;

pub use planned::{Operation, Planned};
pub use watcher::{WatcherParts, run};
