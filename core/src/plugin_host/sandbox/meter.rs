use std::{
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use cpu_time::ThreadTime;

use super::ticker::TICK;

/// How long a guest has computed in the call that it is in.
///
/// A future computes only while it is polled, so waiting for the host counts by
/// itself as nothing, and what the host computes on the guest's behalf counts.
#[derive(Default)]
pub(super) struct Meter(Mutex<Reading>);

#[derive(Default)]
struct Reading {
    limit: Duration,
    /// By the polls that have ended.
    spent: Duration,
    polls: u32,
    poll: Option<Began>,
}

/// When the poll that runs now began. Reading the thread's own clock is a system
/// call, which most calls are too short to be worth: their only poll is measured
/// by the wall clock, up to the tick at which a guest yields at the latest.
enum Began {
    First(Instant),
    Later(Duration),
}

impl Began {
    fn elapsed(&self) -> Duration {
        match self {
            Self::First(at) => at.elapsed().min(TICK),
            Self::Later(before) => thread_time().saturating_sub(*before),
        }
    }
}

impl Meter {
    /// Begins a call that may compute until `limit`, of which `spent` is gone.
    pub(super) fn arm(&self, limit: Duration, spent: Duration) {
        *self.reading() = Reading {
            limit,
            spent,
            polls: 0,
            poll: None,
        };
    }

    pub(super) fn spent(&self) -> Duration {
        let reading = self.reading();
        reading.spent + reading.poll.as_ref().map_or(Duration::ZERO, Began::elapsed)
    }

    pub(super) fn is_over(&self) -> bool {
        let limit = self.reading().limit;
        self.spent() >= limit
    }

    /// Runs `call`, charging the time of its polls.
    pub(super) async fn measure<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        std::future::poll_fn(|context| {
            self.begin_poll();
            let poll: Poll<_> = call.as_mut().poll(context);
            self.end_poll();
            poll
        })
        .await
    }

    fn begin_poll(&self) {
        let mut reading = self.reading();
        reading.poll = Some(match reading.polls {
            0 => Began::First(Instant::now()),
            _ => Began::Later(thread_time()),
        });
        reading.polls = reading.polls.saturating_add(1);
    }

    fn end_poll(&self) {
        let mut reading = self.reading();
        if let Some(began) = reading.poll.take() {
            reading.spent += began.elapsed();
        }
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn thread_time() -> Duration {
    ThreadTime::now().as_duration()
}
