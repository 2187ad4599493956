//! The bus: facts go in, are written to the journal, and fan out.
//!
//! `Bus::publish` enqueues for the writer thread of the store. What has been
//! committed is appended to the [`Log`], the newest part of the journal in
//! memory. A [`Subscription`] is nothing but a cursor: it reads on from the
//! log, or from the journal where it has fallen behind, so nobody who is slow
//! holds up anybody else. So are the subscribers of the [`Fanout`], which
//! writes to sockets.

mod bus;
mod replay;
mod subscription;

pub use bus::Bus;
pub use replay::Past;
pub use subscription::{Gaps, Next, Start, Steering, Subscription};
pub use tiny_forge_events::{
    Attachment, Chunks, ChunksBuilder, EventTooLarge, Fanout, Filter, Frame, FrameParts, Gone, Log,
    Page, Progress, Replay, ReplayError, Room, Seat, Segment, SegmentBuilder,
    control::{BOOKMARK_SECONDS, Control},
    vital, vital_task,
};
