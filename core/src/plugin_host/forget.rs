//! What is kept of plugins and pipelines that no file names any more is forgotten, but
//! not at once: a file may be on its way from one place to another. And only while
//! every file can be read: a broken one may still name them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{PluginHost, delivery::publish_status, folder::View};
use crate::{
    model::Severity,
    store::{StoreError, Tx},
};

/// Where a pipeline is, and which file of a plugin was taken.
const FORGET_PLACES_AFTER: Duration = Duration::from_secs(600);
/// What a plugin has stored and what waits for it: nobody can make it again.
const FORGET_VALUES_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// What no file names, since when.
#[derive(Default)]
pub(super) struct Absent(BTreeMap<String, Instant>);

impl Absent {
    /// Which of the `known` are there now.
    fn see(&mut self, known: BTreeSet<String>, is_present: impl Fn(&str) -> bool, now: Instant) {
        let before = std::mem::take(&mut self.0);
        let absent = known.into_iter().filter(|name| !is_present(name));
        self.0 = absent
            .map(|name| {
                let since = before.get(&name).copied().unwrap_or(now);
                (name, since)
            })
            .collect();
    }

    fn for_as_long_as(&self, time: Duration, now: Instant) -> Vec<String> {
        let for_long = |since: &Instant| now.duration_since(*since) >= time;
        let names = self.0.iter().filter(|(_, since)| for_long(since));
        names.map(|(name, _)| name.clone()).collect()
    }
}

impl PluginHost {
    pub(super) async fn forget(&self, view: &View) {
        if !view.errors.is_empty() {
            // Who is absent is not known, so nobody has been since before.
            let mut live = self.live();
            live.absent_pipelines = Absent::default();
            live.absent_plugins = Absent::default();
            return;
        }
        let forgotten = async {
            self.forget_pipelines(view).await?;
            self.forget_plugins(view).await
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(%error, "what no file names any more is forgotten later");
        }
    }

    /// One that comes back starts afresh.
    async fn forget_pipelines(&self, view: &View) -> Result<(), StoreError> {
        let store = &self.shared().store;
        let known = store.read(|reader| reader.pipeline_names()).await?;
        let now = Instant::now();
        let gone = {
            let absent = &mut self.live().absent_pipelines;
            absent.see(known, |name| view.pipelines.contains_key(name), now);
            absent.for_as_long_as(FORGET_PLACES_AFTER, now)
        };
        for name in gone {
            store.write(move |tx| tx.remove_pipeline(&name)).await?;
        }
        Ok(())
    }

    /// Another one may get the name: it has neither the file that was taken before, nor
    /// what was stored. What waits to be sent becomes dead letters, which can be replayed.
    async fn forget_plugins(&self, view: &View) -> Result<(), StoreError> {
        let (store, kept) = (&self.shared().store, &self.shared().kit.kept);
        let files = kept.names().await;
        let mut known = store.read(|reader| reader.plugin_names()).await?;
        known.extend(files.iter().cloned());
        let now = Instant::now();
        let (away, gone) = {
            let absent = &mut self.live().absent_plugins;
            absent.see(known, |name| view.plugins.contains_key(name), now);
            let away = absent.for_as_long_as(FORGET_PLACES_AFTER, now);
            (away, absent.for_as_long_as(FORGET_VALUES_AFTER, now))
        };
        // One that is not mounted looks like an empty one.
        let is_folder_empty = view.plugins.is_empty() && view.pipelines.is_empty();
        for name in away.iter().filter(|name| files.contains(name)) {
            kept.forget(name).await;
        }
        for name in gone.into_iter().filter(|_| !is_folder_empty) {
            loop {
                let sink = name.clone();
                if !store.write(move |tx| end_queue(tx, &sink)).await? {
                    break;
                }
            }
            store
                .write(move |tx| tx.remove_plugin_values(&name))
                .await?;
        }
        Ok(())
    }
}

/// A part of it, since others want to write, too; whether there was something.
fn end_queue(tx: &mut Tx<'_>, sink: &str) -> Result<bool, StoreError> {
    let dead = tx.end_queue(sink)?;
    for delivery in &dead {
        publish_status(tx, delivery, Severity::Error)?;
    }
    Ok(!dead.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Absent;

    #[test]
    fn a_name_that_comes_back_in_time_is_not_forgotten() {
        let (mut absent, start) = (Absent::default(), Instant::now());
        let mut seen_at = |seconds, present: &[&str]| {
            let known = ["gone", "moved", "stays"].map(str::to_owned).into();
            let now = start + Duration::from_secs(seconds);
            absent.see(known, |name| present.contains(&name), now);
            absent.for_as_long_as(Duration::from_secs(10), now)
        };
        assert!(seen_at(0, &["stays"]).is_empty());
        assert!(seen_at(5, &["stays", "moved"]).is_empty());
        assert_eq!(seen_at(10, &["stays"]), ["gone"]);
        assert_eq!(seen_at(20, &["stays"]), ["gone", "moved"]);
    }
}
