use std::collections::{HashMap, HashSet};

use crate::{engine::Hint, model::Timestamp};

/// After a signal, an end within this time was asked for.
const SIGNAL_WINDOW_MS: u64 = 60_000;
/// The engine tells of a signal once it is sent; what it ends may be quicker.
const SIGNAL_SLACK_MS: u64 = 1_000;

/// What hints said of containers that no inspection shows. Kept until an end is told, so
/// that one which could not be written is told the same way later.
#[derive(Default)]
pub(super) struct Heard {
    /// When they were sent a signal to end them.
    signals: HashMap<String, Timestamp>,
    /// The engine's own mark of it goes with the next start.
    out_of_memory: HashSet<String>,
}

impl Heard {
    pub(super) fn keep(&mut self, hint: &Hint) {
        match hint.action.as_str() {
            "kill" if !hint.signal.as_deref().is_some_and(is_no_farewell) => {
                self.signals.insert(hint.id.clone(), hint.time);
            }
            "oom" => {
                self.out_of_memory.insert(hint.id.clone());
            }
            _ => {}
        }
    }

    pub(super) fn was_signalled(&self, id: &str, end: Timestamp) -> bool {
        self.signals.get(id).is_some_and(|&at| {
            at <= end.plus_ms(SIGNAL_SLACK_MS) && end.ms_since(at) < SIGNAL_WINDOW_MS
        })
    }

    pub(super) fn ran_out_of_memory(&self, id: &str) -> bool {
        self.out_of_memory.contains(id)
    }

    /// Its end has been told: what was heard has been answered.
    pub(super) fn ended(&mut self, id: &str) {
        self.signals.remove(id);
        self.out_of_memory.remove(id);
    }
}

/// HUP, USR1, USR2 and WINCH, by the engine's numbers: they ask for something
/// else than an end, such as another look at the configuration.
fn is_no_farewell(signal: &str) -> bool {
    matches!(signal, "1" | "10" | "12" | "28")
}

#[cfg(test)]
mod tests {
    use super::{Heard, Hint, SIGNAL_WINDOW_MS, Timestamp};

    fn heard(action: &str, signal: Option<&str>) -> Heard {
        let mut heard = Heard::default();
        heard.keep(&Hint {
            signal: signal.map(str::to_owned),
            ..Hint::sample(action, 10_000)
        });
        heard
    }

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn an_end_after_a_farewell_was_asked_for_until_it_is_told() {
        let mut term = heard("kill", Some("15"));
        let late = at(10_000).plus_ms(SIGNAL_WINDOW_MS);
        for (end, expected) in [
            (at(8_000), false),
            (at(9_990), true),
            (at(12_000), true),
            (late, false),
        ] {
            assert_eq!(term.was_signalled("c1", end), expected, "{end}");
        }
        assert!(term.was_signalled("c1", at(12_000)), "looked at again");
        term.ended("c1");
        assert!(!term.was_signalled("c1", at(12_000)));
        assert!(!heard("kill", Some("1")).was_signalled("c1", at(10_000)));
    }

    #[test]
    fn a_lack_of_memory_is_remembered_until_the_end_is_told() {
        let mut heard = heard("oom", None);
        assert!(heard.ran_out_of_memory("c1"));
        heard.ended("c1");
        assert!(!heard.ran_out_of_memory("c1"));
    }
}
