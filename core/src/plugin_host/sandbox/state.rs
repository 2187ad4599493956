use std::time::{Duration, Instant};

use super::{Fault, Setup, limits::MemoryLimiter};
use crate::{model::TestRequest, plugin_host::capabilities::PendingWrites};

/// The host's side of one guest: what its host functions work on.
pub struct HostState {
    pub(in crate::plugin_host) setup: Setup,
    pub(in crate::plugin_host) writes: PendingWrites,
    /// What this call has asked of others; no more than its host calls.
    pub(in crate::plugin_host) requests: Vec<TestRequest>,
    /// The last error that this call wrote to the log, as it is shown; if it is.
    pub(in crate::plugin_host) error_said: Option<String>,
    /// It describes or configures itself, or has not come as far: a file may be looked
    /// at before it is approved, so nothing of that leaves.
    pub(in crate::plugin_host) is_starting: bool,
    pub(super) memory: MemoryLimiter,
    host_calls_left: u32,
    call_ends: Instant,
}

impl HostState {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            memory: MemoryLimiter::new(setup.limits.memory_bytes, setup.metrics.guest()),
            writes: PendingWrites::default(),
            requests: Vec::new(),
            error_said: None,
            is_starting: true,
            host_calls_left: 0,
            call_ends: Instant::now(),
            setup,
        }
    }

    /// Gives the guest a new call's budgets; what an earlier call left half
    /// done is forgotten. Says until when the call may take.
    pub(super) fn begin_call(&mut self, now: Instant) -> Instant {
        self.memory.begin_call();
        self.writes.discard();
        self.requests.clear();
        self.error_said = None;
        self.host_calls_left = self.setup.limits.host_calls;
        self.call_ends = now + self.setup.limits.wall;
        self.call_ends
    }

    pub(super) fn memory_limiter(&mut self) -> &mut dyn wasmtime::ResourceLimiter {
        &mut self.memory
    }

    /// Every host function begins with this.
    pub(in crate::plugin_host) fn count_host_call(&mut self) -> wasmtime::Result<()> {
        let limit = self.setup.limits.host_calls;
        self.host_calls_left = self
            .host_calls_left
            .checked_sub(1)
            .ok_or(Fault::HostCalls { limit })?;
        Ok(())
    }

    /// Until the call has taken too long.
    pub(in crate::plugin_host) fn time_left(&self) -> Duration {
        self.call_ends.saturating_duration_since(Instant::now())
    }
}
