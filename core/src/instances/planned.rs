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
/// planned, and nothing to be alarmed about.
#[derive(Clone, Default)]
pub struct Planned(Arc<Mutex<HashMap<String, Option<Timestamp>>>>);

impl Planned {
    /// From now on, until [`Planned::end`].
    pub fn begin(&self, id: &str) {
        self.lock().insert(id.to_owned(), None);
    }

    /// What happens from now on is not planned; what has happened may be told later.
    pub fn end(&self, id: &str) {
        self.lock().insert(id.to_owned(), Some(Timestamp::now()));
    }

    /// Whether what happened to it then was.
    pub fn contains(&self, id: &str, at: Timestamp) -> bool {
        let mut planned = self.lock();
        let now = Timestamp::now();
        planned.retain(|_, end| end.is_none_or(|end| now <= end.plus_ms(REMEMBERED_MS)));
        let end = planned.get(id);
        end.is_some_and(|end| end.is_none_or(|end| at <= end.plus_ms(SLACK_MS)))
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
    }
}
