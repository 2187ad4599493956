//! The forms in which events are sent, and what each frame looks like.

mod cd_events;
mod cloud_events;
mod golden;
mod lines;
mod samples;
mod schema;
