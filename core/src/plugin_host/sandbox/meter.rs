use std::{
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
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
    poll: Option<Began>,
    began: Option<Instant>,
    was_polled: bool,
    /// From the call's begin until its last poll ended.
    took: Duration,
}

/// When the poll that runs now began. Reading the thread's own clock is a system
/// call, which most calls are too short to be worth: their only poll is measured
/// by the wall clock, up to the tick at which a guest yields at the latest.
#[derive(Clone, Copy)]
enum Began {
    First(Instant),
    Later(Duration),
}

impl Began {
    fn elapsed(self) -> Duration {
        match self {
            Self::First(at) => at.elapsed().min(TICK),
            Self::Later(before) => thread_time().saturating_sub(before),
        }
    }
}

impl Meter {
    /// Begins a call, `now`, that may compute until `limit`, of which `spent` is gone.
    pub(super) fn arm(&self, limit: Duration, spent: Duration, now: Instant) {
        *self.reading() = Reading {
            limit,
            spent,
            poll: None,
            began: Some(now),
            was_polled: false,
            took: Duration::ZERO,
        };
    }

    pub(super) fn spent(&self) -> Duration {
        let reading = self.reading();
        reading.spent + reading.poll.map_or(Duration::ZERO, Began::elapsed)
    }

    /// By the wall clock; of the last call, once it has ended.
    pub(super) fn took(&self) -> Duration {
        self.reading().took
    }

    pub(super) fn is_over(&self) -> bool {
        let limit = self.reading().limit;
        self.spent() >= limit
    }

    /// Polls a call, charging the time of it.
    pub(super) fn poll<F: Future>(
        &self,
        call: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        self.begin_poll();
        let polled = call.poll(context);
        self.end_poll();
        polled
    }

    /// The first one begins when the call does.
    fn begin_poll(&self) {
        let mut reading = self.reading();
        reading.poll = Some(match reading.began {
            Some(at) if !reading.was_polled => Began::First(at),
            _ => Began::Later(thread_time()),
        });
        reading.was_polled = true;
    }

    fn end_poll(&self) {
        let mut guard = self.reading();
        let reading = &mut *guard;
        reading.took = reading.began.map_or(Duration::ZERO, |at| at.elapsed());
        reading.spent += match reading.poll.take() {
            Some(Began::First(_)) => reading.took.min(TICK),
            Some(later) => later.elapsed(),
            None => Duration::ZERO,
        };
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn thread_time() -> Duration {
    ThreadTime::now().as_duration()
}
