use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Wakes a thread that sleeps in its poll, and costs next to nothing while it
/// is awake.
pub struct Doorbell {
    asleep: AtomicBool,
    waker: mio::Waker,
}

impl Doorbell {
    pub fn new(waker: mio::Waker) -> Self {
        Self {
            asleep: AtomicBool::new(false),
            waker,
        }
    }

    /// For those who have left something to be seen.
    pub fn ring(&self) {
        // What was left is seen by the thread's last look, or the thread is seen asleep.
        fence(Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a fan-out thread could not be woken");
        }
    }

    /// For the thread: says that it is about to sleep. It must look once more
    /// afterwards, since whoever came before has not rung.
    pub fn going_to_sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    pub fn awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}
