//! The points where a crash matters most, so that tests can have one there.
//!
//! Only with the cargo feature `failpoints`: a server that is told
//! `failpoint = "NAME"` kills itself, as `kill -9` does, when it first comes by
//! that point. Without the feature, passing one costs nothing.

/// What has just happened, and must not be lost or done twice for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// Events are on disk; nobody has been told of them yet.
    EventsCommitted,
    /// A step of a pipeline has answered; the next one has not been asked.
    StepAnswered,
    /// A pipeline has decided about events; nothing of it is stored.
    EventsDecided,
    /// A sink that had nothing to do has begun with a delivery that is not stored yet.
    DeliveryHandedOver,
    /// What was decided is stored; no sink has been told.
    DecisionsStored,
    /// A sink's target has answered; the answer is not written down.
    DeliveryAttempted,
    /// The attempt is written down.
    DeliveryRecorded,
    /// The engine has answered a deploy, which knows nothing of it yet.
    DeployActed,
    /// What a deploy wrote is on disk.
    DeployWritten,
    /// A new key is there; the old one still opens everything.
    KeyMade,
    /// Everything is sealed with the new key, which is not in its place yet.
    KeyUsed,
    /// The new key is in its place.
    KeyReplaced,
}

impl Failpoint {
    pub const ALL: [Self; 12] = [
        Self::EventsCommitted,
        Self::StepAnswered,
        Self::EventsDecided,
        Self::DeliveryHandedOver,
        Self::DecisionsStored,
        Self::DeliveryAttempted,
        Self::DeliveryRecorded,
        Self::DeployActed,
        Self::DeployWritten,
        Self::KeyMade,
        Self::KeyUsed,
        Self::KeyReplaced,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::EventsCommitted => "events_committed",
            Self::StepAnswered => "step_answered",
            Self::EventsDecided => "events_decided",
            Self::DeliveryHandedOver => "delivery_handed_over",
            Self::DecisionsStored => "decisions_stored",
            Self::DeliveryAttempted => "delivery_attempted",
            Self::DeliveryRecorded => "delivery_recorded",
            Self::DeployActed => "deploy_acted",
            Self::DeployWritten => "deploy_written",
            Self::KeyMade => "key_made",
            Self::KeyUsed => "key_used",
            Self::KeyReplaced => "key_replaced",
        }
    }

    /// Where to die: `NAME`, or `NAME:3` for the third time there.
    pub fn parse(text: &str) -> Option<(Self, u32)> {
        let (name, time) = text.split_once(':').unwrap_or((text, "1"));
        let point = Self::ALL.into_iter().find(|point| point.name() == name)?;
        Some((point, time.parse().ok().filter(|time| *time > 0)?))
    }
}

/// The server has come by `point`.
#[cfg(not(feature = "failpoints"))]
pub const fn reached(_: Failpoint) {}

/// As [`reached`], in what a deploy does: others pass by the same place.
#[cfg(not(feature = "failpoints"))]
pub const fn reached_by_deploy(_: Failpoint) {}

/// What `work` does is done by a deploy.
#[cfg(not(feature = "failpoints"))]
pub async fn in_deploy<T>(work: impl Future<Output = T>) -> T {
    work.await
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, in_deploy, reached, reached_by_deploy};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };

    use rustix::process::{Signal, getpid, kill_process};

    use super::Failpoint;

    /// Set once, by the process that is to die.
    static ARMED: OnceLock<(Failpoint, AtomicU32)> = OnceLock::new();

    /// From now on, the `time`th pass of `point` is the last thing that happens.
    pub fn arm(point: Failpoint, time: u32) {
        let _ = ARMED.set((point, AtomicU32::new(time)));
    }

    tokio::task_local! {
        static DEPLOYING: ();
    }

    pub async fn in_deploy<T>(work: impl Future<Output = T>) -> T {
        DEPLOYING.scope((), work).await
    }

    pub fn reached_by_deploy(point: Failpoint) {
        if DEPLOYING.try_with(|()| ()).is_ok() {
            reached(point);
        }
    }

    pub fn reached(point: Failpoint) {
        let Some((armed, left)) = ARMED.get() else {
            return;
        };
        if *armed == point && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Nothing runs after this: no destructor, no flush.
            let _ = kill_process(getpid(), Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failpoint;

    #[test]
    fn a_point_is_named_with_the_time_it_strikes() {
        assert_eq!(
            Failpoint::parse("deploy_acted"),
            Some((Failpoint::DeployActed, 1))
        );
        assert_eq!(
            Failpoint::parse("deploy_acted:3"),
            Some((Failpoint::DeployActed, 3))
        );
        for bad in ["", "deploy", "deploy_acted:0", "deploy_acted:x"] {
            assert_eq!(Failpoint::parse(bad), None, "{bad}");
        }
    }
}
