use std::collections::HashMap;

use super::change::{Change, is_ended};
use crate::{
    engine::Hint,
    model::{Health, Instance, InstanceReason, InstanceSource, InstanceStatus, Timestamp},
};

/// What was last told of each container. Hints and comparisons overtake each
/// other, hints are looked at late, and an engine repeats its last ones: each
/// thing is told, and told once.
#[derive(Default)]
pub(super) struct Told(HashMap<String, Last>);

struct Last {
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// Of this run of it; `None` as long as nothing was told.
    health: Health,
    /// By a comparison: hints of the same may still come.
    hints_may_follow: bool,
}

impl Told {
    /// What is known from before was told: both are written together.
    pub(super) fn before<'i>(known: impl Iterator<Item = &'i Instance>) -> Self {
        let last = |instance: &Instance| Last {
            started: instance.started_at,
            ended: instance.finished_at,
            health: instance.health,
            hints_may_follow: true,
        };
        Self(known.map(|it| (it.id.clone(), last(it))).collect())
    }

    pub(super) fn keep(&mut self, now: &Instance, change: &Change, source: InstanceSource) {
        let last = self.0.entry(now.id.clone()).or_insert(Last {
            started: None,
            ended: None,
            health: Health::None,
            hints_may_follow: false,
        });
        if change.status != InstanceStatus::Created {
            last.started = now.started_at;
        }
        if is_ended(change.status) {
            last.ended = now.finished_at;
        }
        match change.reason {
            InstanceReason::Healthy
            | InstanceReason::Unhealthy
            | InstanceReason::Recovered
            | InstanceReason::Resync => {
                last.health = now.health;
            }
            InstanceReason::Started | InstanceReason::Restarted => last.health = Health::None,
            _ => {}
        }
        last.hints_may_follow |= source == InstanceSource::Resync;
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }

    pub(super) fn health_of(&self, id: &str) -> Health {
        self.0.get(id).map_or(Health::None, |last| last.health)
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
