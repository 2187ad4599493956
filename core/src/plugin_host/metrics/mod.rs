//! What is counted of each plugin since the server started.
//!
//! Calls are counted by all who use a plugin at once, millions of times a second:
//! with relaxed atomics, and under no lock. A dry run counts for itself.

mod exposition;
mod histogram;
mod kinds;
mod memory;
mod tally;

use std::{collections::BTreeMap, sync::Arc};

pub use kinds::{DeliveryEnd, FaultKind, HttpOutcome};

pub(super) use exposition::{Exposed, exposition};
pub(super) use memory::GuestMemory;

use self::{
    histogram::Histogram,
    memory::Memory,
    tally::{Counter, Tally},
};
use crate::model::{Calls, DeliveryCounts, PluginMemory};

/// The counters of one plugin, through all its versions and guests.
#[derive(Default)]
pub struct Metrics {
    /// Each with how long it took.
    pub calls: Histogram,
    pub faults: Tally<FaultKind>,
    /// Events that a filter dropped.
    pub drops: Counter,
    pub http: Tally<HttpOutcome>,
    pub deliveries: Tally<DeliveryEnd>,
    memory: Memory,
}

impl Metrics {
    /// The memory of a guest that has none yet.
    pub(super) fn guest(self: &Arc<Self>) -> GuestMemory {
        GuestMemory::new(self.clone())
    }

    pub(super) fn calls(&self) -> Calls {
        let durations = self.calls.read();
        let us = |share| durations.quantile_ns(share).map(|ns| ns / 1_000.0);
        Calls {
            total: durations.count(),
            faults: self.faults.total(),
            faults_by_kind: self.faults.counted(),
            drops: self.drops.get(),
            p50_us: us(0.5),
            p95_us: us(0.95),
            p99_us: us(0.99),
        }
    }

    pub fn memory(&self) -> PluginMemory {
        self.memory.read()
    }

    pub(super) fn http_requests(&self) -> BTreeMap<String, u64> {
        self.http.counted()
    }

    pub(super) fn deliveries(&self) -> DeliveryCounts {
        DeliveryCounts {
            sent: self.deliveries.of(DeliveryEnd::Sent),
            failed: self.deliveries.of(DeliveryEnd::Failed),
            dead: self.deliveries.of(DeliveryEnd::Dead),
        }
    }
}
