//! What follows from an attempt.

use std::time::Duration;

use super::{backoff, seal};
use crate::{
    model::{AttemptOutcome, Severity, Timestamp},
    plugin_host::{
        metrics::DeliveryEnd,
        sandbox::{DeliveryOutcome, GuestEvent},
    },
    store::{AfterAttempt, QueuedDelivery},
};

/// What came of an attempt.
pub(super) struct Verdict {
    pub outcome: AttemptOutcome,
    pub reason: Option<String>,
    pub next: AfterAttempt,
}

impl Verdict {
    /// What is given up is tried again in halves, where there are several events.
    pub fn or_split(self, queued: &QueuedDelivery, events: &[GuestEvent]) -> Self {
        let halves = match self.next {
            AfterAttempt::Dead if self.outcome != AttemptOutcome::Retry => {
                seal::halves(queued, events)
            }
            _ => None,
        };
        match halves {
            Some(halves) => Self {
                next: AfterAttempt::Split(halves.into()),
                ..self
            },
            None => self,
        }
    }
}

/// `tries`: with this one, since the first attempt.
pub(super) fn judge(outcome: DeliveryOutcome, tries: u32, first_attempt: Timestamp) -> Verdict {
    let now = Timestamp::now();
    match outcome {
        DeliveryOutcome::Ok => Verdict {
            outcome: AttemptOutcome::Ok,
            reason: None,
            next: AfterAttempt::Delivered,
        },
        DeliveryOutcome::Reject(reason) => Verdict {
            outcome: AttemptOutcome::Reject,
            reason: Some(reason),
            next: AfterAttempt::Dead,
        },
        DeliveryOutcome::Retry { reason, .. } if backoff::gives_up(first_attempt, tries, now) => {
            Verdict {
                outcome: AttemptOutcome::Retry,
                reason: Some(format!(
                    "given up after {tries} attempts in three days: {reason}"
                )),
                next: AfterAttempt::Dead,
            }
        }
        DeliveryOutcome::Retry { after_ms, reason } => Verdict {
            outcome: AttemptOutcome::Retry,
            reason: Some(reason),
            next: retry_in(backoff::pause(tries, after_ms), now),
        },
    }
}

/// A delivery on which the plugin itself fails again and again is poison.
pub(super) fn judge_fault(reason: String, faults: u32) -> Verdict {
    let next = if backoff::faulty_for_good(faults) {
        AfterAttempt::Dead
    } else {
        retry_in(backoff::pause(faults, None), Timestamp::now())
    };
    Verdict {
        outcome: AttemptOutcome::Fault,
        reason: Some(reason),
        next,
    }
}

fn retry_in(pause: Duration, now: Timestamp) -> AfterAttempt {
    AfterAttempt::RetryAt(now.plus_ms(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)))
}

pub(super) const fn end(next: &AfterAttempt) -> DeliveryEnd {
    match next {
        AfterAttempt::Delivered => DeliveryEnd::Sent,
        AfterAttempt::RetryAt(_) | AfterAttempt::Split(_) => DeliveryEnd::Failed,
        AfterAttempt::Dead => DeliveryEnd::Dead,
    }
}

pub(super) const fn severity(next: &AfterAttempt) -> Severity {
    match next {
        AfterAttempt::Delivered => Severity::Debug,
        AfterAttempt::RetryAt(_) | AfterAttempt::Split(_) => Severity::Warning,
        AfterAttempt::Dead => Severity::Error,
    }
}
