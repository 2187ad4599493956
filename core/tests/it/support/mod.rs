//! What the tests share: a server and its client, an engine, a registry, images.

pub mod bench;
pub mod binary;
pub mod data_plane;
pub mod disk;
pub mod domains;
pub mod engine;
pub mod folder;
pub mod image;
pub mod journal;
pub mod lines;
pub mod note;
pub mod program;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod registry;
pub mod server;
pub mod shared;
pub mod sse;
pub mod target;
pub mod traffic;
pub mod wait;
