use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::Timestamp;

/// How far apart the engine's clock and ours may be.
const SLACK_MS: u64 = 2_000;
/// How long after an operation of ours its effects may still be told.
const REMEMBERED_MS: u64 = 30_000;

/// Containers that an operation of ours works on: what happens to them is
/// planned, and nothing to be alarmed about. With each, until when it is.
#[derive(Clone, Default)]
pub struct Planned(Arc<Mutex<HashMap<String, Option<Timestamp>>>>);

impl Planned {
    /// From now on, until [`Planned::end`] or [`Planned::release`].
    pub fn begin(&self, id: &str) {
        self.lock().insert(id.to_owned(), None);
    }

    /// We have stopped or removed it; its end may carry a time of a clock that is ahead.
    pub fn end(&self, id: &str) {
        let until = Timestamp::now().plus_ms(SLACK_MS);
        self.lock().insert(id.to_owned(), Some(until));
    }

    /// It serves, and what happens from now on it does by itself. Its start may be told later.
    pub fn release(&self, id: &str) {
        self.lock().insert(id.to_owned(), Some(Timestamp::now()));
    }

    /// Whether what happened to it then was.
    pub fn contains(&self, id: &str, at: Timestamp) -> bool {
        let mut planned = self.lock();
        let now = Timestamp::now();
        planned.retain(|_, until| until.is_none_or(|it| now <= it.plus_ms(REMEMBERED_MS)));
        let until = planned.get(id);
        until.is_some_and(|until| until.is_none_or(|until| at <= until))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Option<Timestamp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Planned;
    use crate::model::Timestamp;

    #[test]
    fn what_happens_after_an_operation_is_not_planned_and_what_is_told_after_it_is() {
        let planned = Planned::default();
        planned.begin("old");
        let during = Timestamp::now();
        assert!(planned.contains("old", during.plus_ms(3_600_000)));
        planned.end("old");
        assert!(planned.contains("old", during));
        assert!(!planned.contains("old", during.plus_ms(10_000)));
        assert!(!planned.contains("other", during));

        planned.begin("new");
        let during = Timestamp::now();
        planned.release("new");
        assert!(planned.contains("new", during));
        assert!(!planned.contains("new", during.plus_ms(500)));
    }
}
