//! How much of the journal is kept, and who notices.

mod age;
mod size;
