//! Work without which the process is worth nothing.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process,
};

use futures_util::FutureExt;

/// Runs what the process cannot do without. Where it panics, the process ends at once, as by
/// a kill, for whoever watches over it to start it anew: a server that goes on without the
/// thread that stores or sends its events only looks alive. `what` as the last line of the
/// log shall name it.
pub fn vital(what: &'static str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        end(what);
    }
}

/// The same of a task.
pub async fn vital_task(what: &'static str, work: impl Future<Output = ()>) {
    if AssertUnwindSafe(work).catch_unwind().await.is_err() {
        end(what);
    }
}

fn end(what: &'static str) -> ! {
    tracing::error!(
        what,
        "a part that nothing works without has panicked: tiny-forge ends now, and loses nothing \
         when it is started again. Please report it with the lines above"
    );
    process::abort();
}
