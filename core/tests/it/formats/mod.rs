//! The forms in which events are sent, and what each frame looks like.

mod cloud_events;
mod golden;
mod lines;
mod samples;
mod schema;
