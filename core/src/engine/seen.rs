use std::{
    collections::{HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

/// The engine itself remembers 256 events, so a replay never holds more.
const REMEMBERED: usize = 1_024;

/// Which events have been seen: a reconnect always repeats some.
#[derive(Debug, Default)]
pub(super) struct Seen {
    keys: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    /// False when this event has been seen before.
    pub(super) fn is_new(&mut self, event: impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        event.hash(&mut hasher);
        let key = hasher.finish();
        if !self.keys.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn an_event_counts_once_and_memory_stays_bounded() {
        let mut seen = Seen::default();
        assert!(seen.is_new((1, "start")) && !seen.is_new((1, "start")));
        for n in 0..10_000 {
            seen.is_new(n);
        }
        assert!(seen.keys.len() <= super::REMEMBERED);
        assert!(!seen.is_new(9_999));
    }
}
