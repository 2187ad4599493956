//! The newest part of the journal in memory, and those who send it to clients.
//!
//! What one commit has published is one [`Segment`]: frames that were
//! serialised once, each as the HTTP chunk that goes over the wire. The [`Log`]
//! keeps the newest segments. Readers are cursors: whoever has fallen out of
//! memory reads on from the journal, so nobody who is slow holds up anybody.
//!
//! The [`Fanout`] holds the sockets of event streams: a few threads, each with
//! its share of them, that write shared bytes and keep next to nothing for a
//! subscriber.

mod chunks;
pub mod control;
mod doorbell;
mod fanout;
mod filter;
mod index;
mod log;
mod segment;
mod vital;

pub use chunks::{Chunks, ChunksBuilder};
pub use fanout::{Attachment, Fanout, Gone, Page, Progress, Replay, ReplayError, Seat};
pub use filter::Filter;
pub use index::FilterIndex;
pub use log::{BYTES_MAX, FRAMES_MAX, Log};
pub use segment::{EventTooLarge, Frame, FrameParts, Room, Segment, SegmentBuilder};
pub use vital::{vital, vital_task};
