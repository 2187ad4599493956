//! A comparison with the engine: what no event told.

use std::collections::HashSet;

use super::{change, watcher::Watcher};
use crate::{
    model::{Instance, InstanceSource, Timestamp},
    store::StoreError,
};

impl Watcher {
    /// Reads everything; publishes what no event told. What has happened since it was
    /// `asked` for, hints tell.
    pub(super) async fn compare_all(&mut self, asked: Timestamp) -> Result<(), StoreError> {
        let listed = match self.engine.list().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::debug!(%error, "no comparison with the engine now");
                return Ok(());
            }
        };
        for id in &listed {
            let Ok(found) = self.engine.inspect(id).await else {
                continue;
            };
            self.unchecked.remove(id);
            let now = found.instance;
            // Hints may know more than can be seen: who asked for an end.
            if last_turn(&now) > Some(asked) {
                continue;
            }
            let end = last_turn(&now).filter(|_| change::is_ended(now.status));
            let knowledge = self.knowledge(&now, end);
            let change = change::by_difference(self.known.get(id), &now, knowledge);
            self.keep(now, change, InstanceSource::Resync, None).await?;
        }
        let listed: HashSet<String> = listed.into_iter().collect();
        let known = self.known.keys().chain(self.unchecked.keys());
        let missing: HashSet<String> = known.filter(|id| !listed.contains(*id)).cloned().collect();
        for id in missing {
            // A listing proves no absence: only a second reading does.
            if self
                .engine
                .inspect(&id)
                .await
                .is_err_and(|error| error.is_not_found())
            {
                self.end_unchecked(&id).await?;
                self.forget(&id, InstanceSource::Resync, None).await?;
            }
        }
        self.complete_until = asked;
        Ok(())
    }
}

/// When it last came to run or ceased to, as the engine says.
pub(super) fn last_turn(now: &Instance) -> Option<Timestamp> {
    if change::is_ended(now.status) {
        now.finished_at
    } else {
        now.started_at
    }
}
