//! `clock`: the time of day.

use crate::{
    model::Timestamp,
    plugin_host::sandbox::{HostState, v1},
};

impl v1::clock::Host for HostState {
    async fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        Ok(Timestamp::now().ms_since(Timestamp::from_unix_ms(0)))
    }
}
