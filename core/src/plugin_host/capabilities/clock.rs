//! `clock`: the time of day.

use crate::{
    model::Timestamp,
    plugin_host::sandbox::{HostState, v1},
};

impl v1::clock::Host for HostState {
    async fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        let rehearsal = self.setup.rehearsal.as_ref();
        let now = rehearsal.map_or_else(Timestamp::now, |rehearsal| rehearsal.now());
        Ok(now.ms_since(Timestamp::from_unix_ms(0)))
    }
}
