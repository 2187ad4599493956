use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::Metrics;
use crate::model::PluginMemory;

/// Linear memory of a plugin's guests.
#[derive(Default)]
pub(super) struct Memory {
    guests: AtomicU64,
    bytes: AtomicU64,
    /// The most that one guest has had.
    peak_bytes: AtomicU64,
}

impl Memory {
    pub(super) fn read(&self) -> PluginMemory {
        PluginMemory {
            guests: self.guests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            peak_bytes: self.peak_bytes.load(Ordering::Relaxed),
        }
    }
}

/// One guest's part of it, which goes with the guest.
pub struct GuestMemory {
    metrics: Arc<Metrics>,
    bytes: usize,
}

impl GuestMemory {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        metrics.memory.guests.fetch_add(1, Ordering::Relaxed);
        Self { metrics, bytes: 0 }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// It never shrinks.
    pub fn grow_to(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.bytes) as u64;
        self.bytes = bytes;
        let memory = &self.metrics.memory;
        memory.bytes.fetch_add(more, Ordering::Relaxed);
        memory.peak_bytes.fetch_max(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for GuestMemory {
    fn drop(&mut self) {
        let memory = &self.metrics.memory;
        memory.guests.fetch_sub(1, Ordering::Relaxed);
        memory.bytes.fetch_sub(self.bytes as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Metrics;
    use crate::model::PluginMemory;

    #[test]
    fn what_a_guest_had_goes_with_it_and_the_most_that_one_had_is_remembered() {
        let metrics = Arc::new(Metrics::default());
        let mut first = metrics.guest();
        first.grow_to(10);
        first.grow_to(30);
        let mut second = metrics.guest();
        second.grow_to(5);
        let expected = |guests, bytes| PluginMemory {
            guests,
            bytes,
            peak_bytes: 30,
        };
        assert_eq!(metrics.memory(), expected(2, 35));
        drop(first);
        assert_eq!(metrics.memory(), expected(1, 5));
    }
}
