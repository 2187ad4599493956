use std::{sync::Arc, time::Duration};

use super::{Fault, meter::Meter, ticker::Ticking};

/// One call of a guest, while it runs: measured, ticked, and cut off.
pub(super) struct Call {
    pub(super) meter: Arc<Meter>,
    pub(super) wall: Duration,
    /// What it comes to when the guest computes for too long.
    pub(super) over_cpu: Fault,
    pub(super) _ticking: Ticking,
}

/// How a call ended.
pub(super) struct Ended<R> {
    /// `None` when it took too long.
    pub(super) result: Option<wasmtime::Result<R>>,
    pub(super) over_cpu: Fault,
}

impl Call {
    pub(super) async fn run<R>(self, guest: impl Future<Output = wasmtime::Result<R>>) -> Ended<R> {
        let result = tokio::time::timeout(self.wall, self.meter.measure(guest)).await;
        Ended {
            result: result.ok(),
            over_cpu: self.over_cpu,
        }
    }
}
