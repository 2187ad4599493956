use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::{model::PluginRole, plugin_host::metrics::GuestMemory};

/// A component may be made of several core modules (Python's are).
pub const INSTANCES_MAX: usize = 64;
pub(super) const TABLES_MAX: usize = 64;
pub(super) const MEMORIES_MAX: usize = 8;
pub(super) const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Resources that a guest defines for itself are kept in tables of the host. The
/// contract has none, so what there are is of the guest's own language.
pub(super) const HANDLES_MAX: usize = 1_000;

/// What one instance of a plugin may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories together.
    pub memory_bytes: usize,
    /// Computing in one call; waiting for the host is not computing.
    pub call_cpu: Duration,
    /// Computing while it is instantiated, described and configured, together.
    pub start_cpu: Duration,
    /// One call from begin to end, waiting included.
    pub wall: Duration,
    /// Calls of host functions in one call.
    pub host_calls: u32,
    /// One answer, or the arguments of one host call.
    pub output_bytes: usize,
}

impl Limits {
    pub fn for_role(role: PluginRole) -> Self {
        let call_cpu = match role {
            PluginRole::Filter | PluginRole::Enricher => Duration::from_millis(50),
            PluginRole::Sink => Duration::from_millis(500),
        };
        Self {
            memory_bytes: 64 << 20,
            call_cpu,
            start_cpu: Duration::from_secs(1),
            wall: Duration::from_secs(10),
            host_calls: 32,
            output_bytes: 1 << 20,
        }
    }
}

/// What a guest wanted more of than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Memory,
    TableElements,
}

/// Counts the memory of one guest. Growth beyond the limit fails in the guest,
/// which may go on without; when it gives up instead, `refused` says why.
pub(super) struct MemoryLimiter {
    limit_bytes: usize,
    used: GuestMemory,
    table_elements: usize,
    refused: Option<Refused>,
}

impl MemoryLimiter {
    pub(super) fn new(limit_bytes: usize, used: GuestMemory) -> Self {
        Self {
            limit_bytes,
            used,
            table_elements: 0,
            refused: None,
        }
    }

    pub(super) fn begin_call(&mut self) {
        self.refused = None;
    }

    /// Growth that was refused since the call began.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Beyond its own maximum it fails anyway, and through no limit of ours.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let used = self.used.bytes().saturating_add(desired - current);
        if used > self.limit_bytes {
            self.refused = Some(Refused::Memory);
            return Ok(false);
        }
        self.used.grow_to(used);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let elements = self.table_elements.saturating_add(desired - current);
        if elements > TABLE_ELEMENTS_MAX {
            self.refused = Some(Refused::TableElements);
            return Ok(false);
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wasmtime::ResourceLimiter;

    use super::{MemoryLimiter, Refused};
    use crate::plugin_host::metrics::Metrics;

    fn limited_to(bytes: usize) -> MemoryLimiter {
        MemoryLimiter::new(bytes, Arc::new(Metrics::default()).guest())
    }

    #[test]
    fn memories_share_one_limit() {
        let mut memory = limited_to(100);
        assert!(memory.memory_growing(0, 60, None).expect("counted"));
        assert!(!memory.memory_growing(0, 60, None).expect("counted"));
        assert_eq!(memory.refused(), Some(Refused::Memory));
        assert!(memory.memory_growing(60, 100, None).expect("counted"));
    }

    #[test]
    fn a_guests_own_maximum_is_no_fault_of_ours() {
        let mut memory = limited_to(100);
        assert!(!memory.memory_growing(0, 60, Some(50)).expect("counted"));
        assert_eq!(memory.refused(), None);
    }
}
