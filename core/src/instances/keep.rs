//! What a look at a container comes to: its row and its events.

use super::{
    change::{self, Change, Knowledge},
    compare::last_turn,
    event::{self, Circumstances},
    watcher::Watcher,
};
use crate::{
    model::{Instance, InstanceReason, InstanceSource, InstanceStatus, NewEvent, Timestamp},
    store::StoreError,
};

impl Watcher {
    /// State and events in one transaction.
    pub(super) async fn keep(
        &mut self,
        mut now: Instance,
        change: Option<Change>,
        source: InstanceSource,
        time: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let outlived = change.is_none().then(|| self.outlived(&now)).flatten();
        let time = time.or_else(|| outlived.is_some().then(|| self.engine.now()));
        let change = change.or(outlived);
        let mut circumstances = self.circumstances(&now, source, time.or(last_turn(&now)));
        let (before, at) = (self.known.get(&now.id), time.unwrap_or(now.updated_at));
        let is = |reason| change.as_ref().is_some_and(|it| it.reason == reason);
        // Only our deploys create managed ones, whose ids they learn too late to tell us.
        circumstances.planned |= now.managed && is(InstanceReason::Created);
        let further = if is(InstanceReason::Stopped) {
            self.loops.stopped(&mut now);
            None
        } else {
            // What a deploy does, and what it watches, is judged by the deploy.
            let news = change.as_ref().filter(|_| !circumstances.planned);
            let complete_until = self.complete_until;
            self.loops.judge(before, &mut now, news, at, complete_until)
        };
        let changes: Vec<Change> = change.into_iter().chain(further).collect();
        if changes.is_empty() && before.is_some_and(|before| same(before, &now)) {
            return Ok(());
        }
        let mut reasons = changes.iter().map(|change| change.reason);
        if !circumstances.planned && reasons.any(event::needs_log_tail) {
            circumstances.log_tail = self.last_words.before(at, &now).await;
        }
        let tell = |change| event::event(change, before, &now, &circumstances).at(at);
        let events: Vec<NewEvent> = changes.iter().map(tell).collect();
        let stored = now.clone();
        self.store
            .write(move |tx| {
                tx.put_instance(&stored)?;
                events
                    .into_iter()
                    .try_for_each(|event| tx.publish(event).map(drop))
            })
            .await?;
        for change in &changes {
            self.told.keep(&now, change, source);
            if change::is_ended(change.status) {
                self.heard.ended(&now.id);
            }
            self.withhold(&now.id, change, &circumstances);
        }
        self.known.insert(now.id.clone(), now);
        Ok(())
    }

    fn withhold(&mut self, id: &str, change: &Change, circumstances: &Circumstances) {
        let (is_failure, is_news) = (change::is_failure(change.reason), !circumstances.planned);
        let is_restart = change.reason == InstanceReason::Restarted;
        if is_failure && !is_news {
            self.withheld.insert(id.to_owned(), change.exit_code);
        } else if is_news && (is_failure || is_restart) || change.reason == InstanceReason::Stopped
        {
            self.withheld.remove(id);
        }
    }

    /// It ended while a deploy watched it, which thought it good all the same.
    fn outlived(&self, now: &Instance) -> Option<Change> {
        let exit_code = self.withheld.get(&now.id)?;
        let is_watched = self.planned.contains(&now.id, self.engine.now());
        (now.status == InstanceStatus::Running && !is_watched).then_some(Change {
            reason: InstanceReason::Restarted,
            status: now.status,
            exit_code: *exit_code,
        })
    }

    pub(super) async fn forget(
        &mut self,
        id: &str,
        source: InstanceSource,
        time: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let Some(before) = self.known.get(id) else {
            // Hints may have told of one that was gone before anybody could look.
            self.heard.ended(id);
            return Ok(());
        };
        let gone = Instance {
            status: InstanceStatus::Removed,
            ..before.clone()
        };
        let change = Change {
            reason: InstanceReason::Removed,
            status: InstanceStatus::Removed,
            exit_code: gone.exit_code,
        };
        let circumstances = self.circumstances(&gone, source, time);
        let removed = event::event(&change, Some(before), &gone, &circumstances);
        let row = id.to_owned();
        self.store
            .write(move |tx| {
                tx.delete_instance(&row)?;
                tx.publish(removed)
            })
            .await?;
        self.known.remove(id);
        self.told.forget(id);
        self.loops.forget(id);
        self.heard.ended(id);
        self.withheld.remove(id);
        Ok(())
    }

    /// `time`: when it happened, as far as that is known.
    fn circumstances(
        &self,
        instance: &Instance,
        source: InstanceSource,
        time: Option<Timestamp>,
    ) -> Circumstances {
        let time = time.unwrap_or(instance.created_at);
        let planned = self.planned.contains(&instance.id, time);
        Circumstances {
            planned,
            source,
            log_tail: Vec::new(),
        }
    }

    /// `end`: when it ended, if that is what happened.
    pub(super) fn knowledge(&self, now: &Instance, end: Option<Timestamp>) -> Knowledge {
        let id = &now.id;
        let was_asked =
            |end| self.heard.was_signalled(id, end) || self.planned.has_stopped(id, end);
        Knowledge {
            complete_until: self.complete_until,
            end_is_told: self.told.has_end_of(now),
            asked_to_stop: end.is_some_and(was_asked),
            out_of_memory: now.oom_killed || self.heard.ran_out_of_memory(id),
            told_health: self.told.health_of(id),
        }
    }
}

/// Nothing but the time of reading differs.
fn same(before: &Instance, now: &Instance) -> bool {
    Instance {
        updated_at: now.updated_at,
        ..before.clone()
    } == *now
}
