use std::collections::HashMap;

use super::change::is_ended;
use crate::{
    engine::Hint,
    model::{Instance, InstanceSource, InstanceStatus, Timestamp},
};

/// What was last told of each container. Hints and comparisons overtake each
/// other, and an engine repeats its last hints: each thing is told once.
#[derive(Default)]
pub(super) struct Told(HashMap<String, Last>);

#[derive(Default)]
struct Last {
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// By a comparison: hints of the same may still come.
    hints_may_follow: bool,
}

impl Told {
    /// What is known from before was told: both are written together.
    pub(super) fn before<'i>(known: impl Iterator<Item = &'i Instance>) -> Self {
        let mut told = Self::default();
        for instance in known {
            told.keep(instance, instance.status, InstanceSource::Resync);
        }
        told
    }

    pub(super) fn keep(&mut self, now: &Instance, status: InstanceStatus, source: InstanceSource) {
        let last = self.0.entry(now.id.clone()).or_default();
        if status != InstanceStatus::Created {
            last.started = now.started_at;
        }
        if is_ended(status) {
            last.ended = now.finished_at;
        }
        last.hints_may_follow |= source == InstanceSource::Resync;
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// Whether this end has been told.
    pub(super) fn has_end_of(&self, now: &Instance) -> bool {
        self.0
            .get(&now.id)
            .is_some_and(|last| last.ended == now.finished_at)
    }

    /// Whether a comparison has told already what this hint says.
    pub(super) fn covers(&self, hint: &Hint, now: &Instance) -> bool {
        let Some(last) = self.0.get(&now.id).filter(|last| last.hints_may_follow) else {
            return false;
        };
        match hint.action.as_str() {
            "create" => true,
            "start" => last.started == now.started_at,
            "die" => last.ended == now.finished_at,
            _ => false,
        }
    }
}
