use std::{sync::Arc, time::Duration};

use super::{meter::Meter, ticker::Ticking};

/// One call of a guest, while it runs: measured, ticked, and cut off.
pub(super) struct Call {
    pub(super) meter: Arc<Meter>,
    pub(super) wall: Duration,
    /// What the guest may compute.
    pub(super) cpu: Duration,
    pub(super) _ticking: Ticking,
}

/// How a call ended, with the limit of computing that held.
pub(super) struct Ended<R> {
    /// `None` when it took too long.
    pub(super) result: Option<wasmtime::Result<R>>,
    pub(super) cpu: Duration,
}

impl Call {
    pub(super) async fn run<R>(self, guest: impl Future<Output = wasmtime::Result<R>>) -> Ended<R> {
        let result = tokio::time::timeout(self.wall, self.meter.measure(guest)).await;
        Ended {
            result: result.ok(),
            cpu: self.cpu,
        }
    }
}
