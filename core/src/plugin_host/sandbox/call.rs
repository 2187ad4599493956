use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Instant,
};

use tokio::{task::unconstrained, time::sleep_until};

use super::{Fault, meter::Meter, ticker::Ticking};

/// One call of a guest, while it runs: measured, ticked, and cut off.
pub(super) struct Call<'c> {
    pub(super) meter: &'c Meter,
    /// It may take until then.
    pub(super) ends: Instant,
    pub(super) _ticking: Ticking<'c>,
}

impl Call<'_> {
    /// `None` when it took too long. A panic of ours on its behalf, too, is the end of this
    /// guest and of nobody else. `guest` is large, and stays where it is.
    pub(super) async fn run<R>(
        self,
        mut guest: Pin<&mut impl Future<Output = wasmtime::Result<R>>>,
    ) -> Option<wasmtime::Result<R>> {
        // Most calls are over when they were polled once, and need no timer.
        let mut timer = pin!(None);
        poll_fn(|context: &mut Context<'_>| {
            let polled = catch_unwind(AssertUnwindSafe(|| {
                self.meter.poll(guest.as_mut(), context)
            }));
            match polled {
                Ok(Poll::Ready(result)) => return Poll::Ready(Some(result)),
                Ok(Poll::Pending) => {}
                Err(panic) => return Poll::Ready(Some(Err(panicked(&*panic).into()))),
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
        .await
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Fault {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault::Host(format!(
        "tiny-forge panicked ({}); please report it",
        text.unwrap_or("it says no more")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin_host::sandbox::Sandbox;

    #[tokio::test]
    async fn a_panic_of_ours_in_a_call_is_a_fault_of_that_call() {
        let sandbox = Sandbox::new().expect("a sandbox");
        for (answer, expected) in [(Some(1), Ok(1)), (None, Err("tiny-forge panicked (ours)"))] {
            let call = Call {
                meter: &Meter::default(),
                ends: Instant::now(),
                _ticking: sandbox.ticking(),
            };
            let guest = pin!(async { Ok(answer.unwrap_or_else(|| panic!("ours"))) });
            let result = call.run(guest).await.expect("in time");
            let told =
                result.map_err(|error| error.downcast::<Fault>().expect("typed").to_string());
            match (told, expected) {
                (Ok(answer), Ok(expected)) => assert_eq!(answer, expected),
                (Err(told), Err(expected)) => assert!(told.contains(expected), "{told}"),
                (told, _) => panic!("{told:?}"),
            }
        }
    }
}
