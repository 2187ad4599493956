use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(100);
/// So many faults in a row put a plugin into quarantine.
const QUARANTINE_AFTER: u32 = 5;
const QUARANTINE_FIRST: Duration = Duration::from_secs(30);
const QUARANTINE_MAX: Duration = Duration::from_secs(15 * 60);

/// How long a guest that fails is left alone: a little longer each time, and
/// much longer once it has failed often. One success ends it.
#[derive(Debug, Default)]
pub(super) struct Rest {
    faults: u32,
    until: Option<Instant>,
}

impl Rest {
    /// Counts a fault; when it puts the plugin into quarantine, for how long.
    pub fn fault(&mut self, now: Instant) -> Option<Duration> {
        self.faults = self.faults.saturating_add(1);
        let pause = pause(self.faults);
        self.until = Some(now + pause);
        (self.faults >= QUARANTINE_AFTER).then_some(pause)
    }

    /// Until when the guest rests, if it does.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

fn pause(faults: u32) -> Duration {
    if faults < QUARANTINE_AFTER {
        return FIRST * 2_u32.pow(faults.saturating_sub(1));
    }
    let doublings = (faults - QUARANTINE_AFTER).min(16);
    (QUARANTINE_FIRST * 2_u32.pow(doublings)).min(QUARANTINE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_quarantine_and_on_up_to_a_quarter_of_an_hour() {
        let now = Instant::now();
        let mut rest = Rest::default();
        let quarantined: Vec<_> = (0..6).map(|_| rest.fault(now)).collect();
        let longer = QUARANTINE_FIRST * 2;
        let expected = [None, None, None, None, Some(QUARANTINE_FIRST), Some(longer)];
        assert_eq!(quarantined, expected);
        assert_eq!(rest.until(now), Some(now + longer));
        assert_eq!(rest.until(now + longer), None);
        assert_eq!(pause(1_000), QUARANTINE_MAX);
    }
}
