//! What is kept of plugins and pipelines that no file names any more is forgotten, but
//! not at once: a file may be on its way from one place to another. And only while
//! every file can be read: a broken one may still name them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{PluginHost, delivery::publish_status, folder::View};
use crate::{model::Severity, store::StoreError};

/// No file names it for so long.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// What no file names, since when.
#[derive(Default)]
pub(super) struct Absent(BTreeMap<String, Instant>);

impl Absent {
    /// Those of the `known` that have been absent for long.
    fn for_long(
        &mut self,
        known: BTreeSet<String>,
        is_present: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Vec<String> {
        let before = std::mem::take(&mut self.0);
        let absent = known.into_iter().filter(|name| !is_present(name));
        self.0 = absent
            .map(|name| {
                let since = before.get(&name).copied().unwrap_or(now);
                (name, since)
            })
            .collect();
        let for_long = |since: &Instant| now.duration_since(*since) >= FORGET_AFTER;
        let names = self.0.iter().filter(|(_, since)| for_long(since));
        names.map(|(name, _)| name.clone()).collect()
    }
}

impl PluginHost {
    pub(super) async fn forget(&self, view: &View) {
        if !view.errors.is_empty() {
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
        let is_present = |name: &str| view.pipelines.contains_key(name);
        let now = Instant::now();
        let gone = (self.live().absent_pipelines).for_long(known, is_present, now);
        for name in gone {
            store.write(move |tx| tx.remove_pipeline(&name)).await?;
        }
        Ok(())
    }

    /// Another one may get the name: it has neither the file that was taken before, nor
    /// what was stored. What waits to be sent becomes dead letters, which can be replayed.
    async fn forget_plugins(&self, view: &View) -> Result<(), StoreError> {
        let (store, kept) = (&self.shared().store, &self.shared().kit.kept);
        let mut known = store.read(|reader| reader.plugin_names()).await?;
        known.extend(kept.names().await);
        let is_present = |name: &str| view.plugins.contains_key(name);
        let now = Instant::now();
        let gone = (self.live().absent_plugins).for_long(known, is_present, now);
        for name in gone {
            kept.forget(&name).await;
            let forget = store.write(move |tx| {
                tx.remove_plugin_values(&name)?;
                for delivery in tx.end_queue(&name)? {
                    publish_status(tx, &delivery, Severity::Warning)?;
                }
                Ok(())
            });
            forget.await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Absent, FORGET_AFTER};

    #[test]
    fn a_name_that_comes_back_in_time_is_not_forgotten() {
        let (mut absent, start) = (Absent::default(), Instant::now());
        let known = || ["gone", "moved", "stays"].map(str::to_owned).into();
        let later = start + FORGET_AFTER / 2;
        let end = start + FORGET_AFTER;

        let is_present = |name: &str| name == "stays";
        assert!(absent.for_long(known(), is_present, start).is_empty());
        let is_back = |name: &str| name != "gone";
        assert!(absent.for_long(known(), is_back, later).is_empty());
        assert_eq!(absent.for_long(known(), is_present, end), ["gone"]);
    }
}
