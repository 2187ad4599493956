use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use tokio::{task::unconstrained, time::sleep_until};

use super::{Fault, meter::Meter, ticker::Ticking};

/// One call of a guest, while it runs: measured, ticked, and cut off.
pub(super) struct Call {
    pub(super) meter: Arc<Meter>,
    /// It may take until then.
    pub(super) ends: Instant,
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
        let mut guest = pin!(guest);
        // Most calls are over when they were polled once, and need no timer.
        let mut timer = pin!(None);
        let result = poll_fn(|context: &mut Context<'_>| {
            if let Poll::Ready(result) = self.meter.poll(guest.as_mut(), context) {
                return Poll::Ready(Some(result));
            }
            if timer.is_none() {
                // Also where the guest uses up all that a task may do at once.
                timer.set(Some(unconstrained(sleep_until(self.ends.into()))));
            }
            match timer.as_mut().as_pin_mut() {
                Some(timer) => timer.poll(context).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await;
        Ended {
            result,
            over_cpu: self.over_cpu,
        }
    }
}
