use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use crate::{model::Timestamp, store::QueuedDelivery};

const FIRST: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(3_600);
/// A target that has not taken a delivery by then will not, if it was really asked: the
/// server may have been off for most of that time.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 86_400);
const TRIES_MIN: u32 = 20;
/// A target may ask for patience, but not for ever; nor for none at all.
const ASKED_MAX: Duration = Duration::from_secs(86_400);
/// A target that still fails once our own pause is as long as this does not know when it
/// will be well again: what it asks for is the least that it gets from then on.
const BELIEVED_BELOW: Duration = Duration::from_secs(60);
/// A plugin that fails on the same delivery so often in a row is not tried again.
const FAULTS_MAX: u32 = 5;

/// How long to wait after the `tries`th attempt (from 1). The pause doubles, half of it by
/// chance, so that many sinks do not return together. What the target asked for is kept to
/// at first, and never cut short: it does not make us ask every second for days.
pub(super) fn pause(tries: u32, asked_ms: Option<u64>) -> Duration {
    let longest = FIRST
        .saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)))
        .min(MAX);
    let ours = longest / 2 + longest.mul_f64(rand::rng().random::<f64>() / 2.0);
    let Some(asked_ms) = asked_ms else {
        return ours;
    };
    let jitter = Duration::from_millis(rand::rng().random_range(0..250));
    let asked = Duration::from_millis(asked_ms).clamp(FIRST, ASKED_MAX) + jitter;
    if longest < BELIEVED_BELOW {
        asked
    } else {
        asked.max(ours)
    }
}

/// When a pause is over, if there is one: at `until`, which a clock counts that is never set,
/// or by the times that were written down, for who has not seen its beginning. Those say
/// nothing where the clock was set back.
pub(super) fn due(queued: &QueuedDelivery, until: Option<Instant>) -> Option<Instant> {
    let at = queued.delivery.next_attempt_at?;
    let now = Timestamp::now();
    let was_set_back = queued.last_attempt.is_some_and(|last| last > now);
    let written = Instant::now() + Duration::from_millis(at.ms_since(now));
    match until {
        Some(until) if was_set_back => Some(until),
        Some(until) => Some(until.min(written)),
        None => (!was_set_back).then_some(written),
    }
}

pub(super) fn gives_up(first_attempt: Timestamp, tries: u32, now: Timestamp) -> bool {
    let is_late = u128::from(now.ms_since(first_attempt)) >= GIVE_UP_AFTER.as_millis();
    is_late && tries >= TRIES_MIN
}

pub(super) const fn faulty_for_good(faults: u32) -> bool {
    faults >= FAULTS_MAX
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::{Delivery, DeliveryState, EventId};

    /// Tried at a time, and due at another.
    fn queued(last_attempt: Timestamp, next_attempt_at: Option<Timestamp>) -> QueuedDelivery {
        QueuedDelivery {
            delivery: Delivery {
                id: "d-1".into(),
                pipeline: "all".into(),
                sink: "hook".into(),
                status: DeliveryState::Retrying,
                events: vec![EventId(1)],
                attempts: 1,
                created_at: last_attempt,
                delivered_at: None,
                next_attempt_at,
                latency_ms: None,
                last_error: None,
                version: None,
                digest: None,
            },
            first_attempt: Some(last_attempt),
            last_attempt: Some(last_attempt),
            tries: 1,
            faults: 0,
            input: "[]".into(),
        }
    }

    /// Until then, in whole seconds.
    fn seconds_left(due: Option<Instant>) -> Option<u64> {
        let left = due?.saturating_duration_since(Instant::now());
        Some(left.as_secs_f64().round() as u64)
    }

    #[test]
    fn a_pause_that_was_written_down_goes_on_for_what_is_left_of_it() {
        let now = Timestamp::now();
        let before = Timestamp::from_unix_ms(now.unix_ms() - 10_000);
        let waits = queued(before, Some(now.plus_ms(20_000)));
        assert_eq!(seconds_left(due(&waits, None)), Some(20));
        // It was over while nobody was there, or there is none.
        let over = queued(before, Some(before.plus_ms(1_000)));
        assert_eq!(seconds_left(due(&over, None)), Some(0));
        assert_eq!(due(&queued(before, None), None), None);
        let until = Instant::now() + Duration::from_secs(60);
        assert_eq!(due(&queued(before, None), Some(until)), None);
    }

    #[test]
    fn whichever_clock_says_first_that_a_pause_is_over_is_right() {
        let now = Timestamp::now();
        let before = Timestamp::from_unix_ms(now.unix_ms() - 10_000);
        let waits = queued(before, Some(now.plus_ms(20_000)));
        for (until_s, left_s) in [(5, 5), (90, 20)] {
            let until = Instant::now() + Duration::from_secs(until_s);
            assert_eq!(seconds_left(due(&waits, Some(until))), Some(left_s));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait() {
        let now = Timestamp::now();
        // An hour, by the time of day.
        let ahead = queued(now.plus_ms(3_600_000), Some(now.plus_ms(3_601_000)));
        let until = Instant::now() + Duration::from_secs(1);
        assert_eq!(due(&ahead, Some(until)), Some(until));
        assert_eq!(due(&ahead, None), None);
    }

    #[test]
    fn a_target_is_given_up_after_three_days_in_which_it_was_asked() {
        let first = Timestamp::from_unix_ms(0);
        let day = 86_400_000;
        assert!(!gives_up(first, 100, first.plus_ms(2 * day)));
        assert!(!gives_up(first, 3, first.plus_ms(5 * day)));
        assert!(gives_up(first, 80, first.plus_ms(3 * day)));
    }

    #[test]
    fn pauses_double_up_to_an_hour_and_keep_to_what_the_target_asks() {
        for (attempt, longest_s) in [(1, 1), (2, 2), (5, 16), (13, 3_600), (60, 3_600)] {
            let (pause, longest) = (pause(attempt, None), Duration::from_secs(longest_s));
            assert!(
                pause >= longest / 2 && pause <= longest,
                "{attempt}: {pause:?}"
            );
        }
        let asked = pause(1, Some(30_000));
        assert!(asked >= Duration::from_secs(30) && asked < Duration::from_secs(31));
        assert!(pause(1, Some(u64::MAX)) < ASKED_MAX + Duration::from_secs(1));
        assert!(pause(1, Some(0)) >= FIRST);
    }

    #[test]
    fn targets_that_failed_together_are_not_asked_together_again() {
        for asked in [None, Some(30_000)] {
            let pauses: HashSet<Duration> = (0..100).map(|_| pause(10, asked)).collect();
            assert!(pauses.len() > 20, "{asked:?}: {pauses:?}");
        }
    }

    #[test]
    fn a_target_that_asks_for_a_second_again_and_again_is_asked_ever_less_often() {
        for tries in 1..=6 {
            assert!(pause(tries, Some(1_000)) < Duration::from_secs(2));
        }
        assert!(pause(7, Some(1_000)) >= Duration::from_secs(32));
        assert!(pause(60, Some(1_000)) >= MAX / 2);
        // Who asks for more than our own pause gets it.
        assert!(pause(60, Some(7_200_000)) >= Duration::from_secs(7_200));
        let day: Duration = (1..=60).map(|tries| pause(tries, Some(1_000))).sum();
        assert!(day > Duration::from_secs(86_400), "{day:?}");
    }
}
