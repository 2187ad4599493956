//! The host's functions in our own types: the real ones in a component, those of
//! `testing` in a unit test.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{hmac_sha256, log, now_ms, send, store_delete, store_get, store_set};

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::host::{
    hmac_sha256, log, now_ms, send, store_delete, store_get, store_set,
};
