use std::{
    pin::Pin,
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use cpu_time::ThreadTime;

use super::ticker::TICK;

/// How long a guest has computed in the call that it is in.
///
/// A future computes only while it is polled, so waiting for the host counts by
/// itself as nothing, and what the host computes on the guest's behalf counts.
///
/// Only who polls the guest reads and writes it, the guest's store in the middle of a
/// poll included: one at a time, so it takes no lock and its atomics are relaxed.
pub(super) struct Meter {
    /// What the other instants are counted from.
    zero: Instant,
    limit_ns: AtomicU64,
    /// By the polls that have ended.
    spent_ns: AtomicU64,
    began_ns: AtomicU64,
    /// From the call's begin until its last poll ended.
    took_ns: AtomicU64,
    phase: AtomicU8,
    /// By the thread's own clock, of a later poll.
    poll_began_ns: AtomicU64,
}

/// Reading the thread's own clock is a system call, which most calls are too short to
/// be worth: their only poll is measured by the wall clock, up to the tick at which a
/// guest yields at the latest.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Phase {
    Armed,
    /// Its first poll, which begins when the call does, runs.
    First,
    /// No poll runs.
    Between,
    Later,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            zero: Instant::now(),
            limit_ns: AtomicU64::default(),
            spent_ns: AtomicU64::default(),
            began_ns: AtomicU64::default(),
            took_ns: AtomicU64::default(),
            phase: AtomicU8::new(Phase::Between as u8),
            poll_began_ns: AtomicU64::default(),
        }
    }
}

impl Meter {
    /// Begins a call, `now`, that may compute until `limit`, of which `spent` is gone.
    pub(super) fn arm(&self, limit: Duration, spent: Duration, now: Instant) {
        set(&self.limit_ns, nanos(limit));
        set(&self.spent_ns, nanos(spent));
        set(&self.began_ns, nanos(now.duration_since(self.zero)));
        set(&self.took_ns, 0);
        self.enter(Phase::Armed);
    }

    pub(super) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent_ns())
    }

    /// By the wall clock; of the last call, once it has ended.
    pub(super) fn took(&self) -> Duration {
        Duration::from_nanos(get(&self.took_ns))
    }

    pub(super) fn is_over(&self) -> bool {
        self.spent_ns() >= get(&self.limit_ns)
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

    fn begin_poll(&self) {
        if matches!(self.phase(), Phase::Armed) {
            return self.enter(Phase::First);
        }
        set(&self.poll_began_ns, thread_ns());
        self.enter(Phase::Later);
    }

    fn end_poll(&self) {
        let took_ns = self.since_began_ns();
        let poll_ns = self.poll_ns(took_ns);
        set(&self.took_ns, took_ns);
        set(&self.spent_ns, get(&self.spent_ns) + poll_ns);
        self.enter(Phase::Between);
    }

    fn spent_ns(&self) -> u64 {
        get(&self.spent_ns) + self.poll_ns(self.since_began_ns())
    }

    /// Of the poll that runs, if one does.
    fn poll_ns(&self, since_began_ns: u64) -> u64 {
        match self.phase() {
            Phase::Armed | Phase::Between => 0,
            Phase::First => since_began_ns.min(nanos(TICK)),
            Phase::Later => thread_ns().saturating_sub(get(&self.poll_began_ns)),
        }
    }

    fn since_began_ns(&self) -> u64 {
        nanos(self.zero.elapsed()).saturating_sub(get(&self.began_ns))
    }

    fn phase(&self) -> Phase {
        const PHASES: [Phase; 4] = [Phase::Armed, Phase::First, Phase::Between, Phase::Later];
        PHASES[usize::from(self.phase.load(Ordering::Relaxed))]
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
}

fn get(from: &AtomicU64) -> u64 {
    from.load(Ordering::Relaxed)
}

fn set(to: &AtomicU64, nanos: u64) {
    to.store(nanos, Ordering::Relaxed);
}

/// For half a millennium.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn thread_ns() -> u64 {
    nanos(ThreadTime::now().as_duration())
}
