//! What is kept of plugins and pipelines that no file names any more is forgotten, but
//! not at once: a file may be on its way from one place to another. And only while
//! every file can be read: a broken one may still name them. Nor while there is none: a
//! folder that is not mounted looks like that.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{
    PluginHost,
    delivery::{publish_status, seal},
    folder::View,
    live::{Live, LivePlugin},
};
use crate::{
    model::Severity,
    store::{StoreError, Tx},
};

/// For how long no file may name something before what is kept of it is forgotten.
#[derive(Debug, Clone, Copy)]
pub struct ForgetAfter {
    /// Where a pipeline is, and which file of a plugin was taken.
    pub places: Duration,
    /// What a plugin has stored and what waits for it: nobody can make it again.
    pub values: Duration,
}

impl Default for ForgetAfter {
    fn default() -> Self {
        Self {
            places: Duration::from_secs(600),
            values: Duration::from_secs(24 * 3_600),
        }
    }
}

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
        if !says_who_is_absent(view) {
            // So nobody has been since before.
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
            let mut live = self.live();
            let Live {
                absent_pipelines: absent,
                ending,
                ..
            } = &mut *live;
            // One that ends stores what it has decided.
            let is_present =
                |name: &str| view.pipelines.contains_key(name) || ending.has_pipeline(name);
            absent.see(known, is_present, now);
            absent.for_as_long_as(self.shared().forget_after.places, now)
        };
        for name in gone {
            let journal = self.shared().bus.head().journal;
            let pipeline = name.clone();
            let ended = store.write(move |tx| end_pipeline(tx, &journal, &pipeline));
            let LastBatch { events, sinks } = ended.await?;
            if events > 0 && sinks.is_empty() {
                tracing::warn!(
                    pipeline = name,
                    events,
                    "no file names a pipeline any more, nor is it known where it sent to: what \
                     was in its batch is lost"
                );
            }
            let live = self.live();
            let sinks = sinks.iter().filter_map(|sink| live.plugins.get(sink));
            sinks.for_each(LivePlugin::wake);
        }
        Ok(())
    }

    /// Another one may get the name: it has neither the file that was taken before, nor
    /// what was stored. What waits to be sent becomes dead letters, which can be replayed.
    async fn forget_plugins(&self, view: &View) -> Result<(), StoreError> {
        let (store, kept) = (&self.shared().store, &self.shared().kit.kept);
        let after = self.shared().forget_after;
        let files = kept.names().await;
        let mut known = store.read(|reader| reader.plugin_names()).await?;
        known.extend(files.iter().cloned());
        let now = Instant::now();
        let (away, gone) = {
            let mut live = self.live();
            let Live {
                absent_plugins: absent,
                ending,
                ..
            } = &mut *live;
            let is_present =
                |name: &str| view.plugins.contains_key(name) || ending.has_plugin(name);
            absent.see(known, is_present, now);
            let away = absent.for_as_long_as(after.places, now);
            (away, absent.for_as_long_as(after.values, now))
        };
        for name in away.iter().filter(|name| files.contains(name)) {
            kept.forget(name).await;
        }
        for name in gone {
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

/// A file that is broken may name them, and so may those of a folder that is not mounted.
fn says_who_is_absent(view: &View) -> bool {
    let is_empty = view.plugins.is_empty() && view.pipelines.is_empty();
    view.errors.is_empty() && !is_empty
}

/// What was in the batch of a pipeline that is forgotten, and where it went.
#[derive(Debug, PartialEq, Eq)]
struct LastBatch {
    events: usize,
    sinks: Vec<String>,
}

/// What is in its batch has passed already, and is sent. A sink that is not there any more
/// makes dead letters of it later, as of all that waits for it.
fn end_pipeline(tx: &mut Tx<'_>, journal: &str, name: &str) -> Result<LastBatch, StoreError> {
    let (batch, sinks) = (tx.batch_members(name)?, tx.pipeline_sinks(name)?);
    for sink in sinks.iter().filter(|_| !batch.is_empty()) {
        tx.insert_delivery(&seal(journal, name, sink, &batch))?;
        for shed in tx.shed_overflow(sink)? {
            publish_status(tx, &shed, Severity::Error)?;
        }
    }
    tx.remove_pipeline(name)?;
    Ok(LastBatch {
        events: batch.len(),
        sinks,
    })
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

    use super::{Absent, LastBatch, View, end_pipeline, says_who_is_absent};
    use crate::{
        events::Log,
        model::{EventId, Timestamp},
        plugin_host::config::{FileConfig, FileError},
        store::{PassedEvent, Store, StoreError, Tx},
    };

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

    #[test]
    fn a_folder_that_is_empty_or_has_a_broken_file_says_nothing_of_who_is_absent() {
        assert!(!says_who_is_absent(&View::default()));
        let toml = "[plugin.hook]\nfile = \"hook.wasm\"\n";
        let config = FileConfig::parse("hook.toml", toml).expect("a configuration");
        let view = View {
            plugins: config.plugins,
            ..View::default()
        };
        assert!(says_who_is_absent(&view));
        let error = FileError {
            file: "broken.toml".into(),
            line: None,
            message: "it cannot be read".into(),
        };
        let errors = vec![error];
        assert!(!says_who_is_absent(&View { errors, ..view }));
    }

    fn with_a_batch(tx: &Tx<'_>, pipeline: &str, sinks: &[&str]) -> Result<(), StoreError> {
        let sinks: Vec<String> = sinks.iter().map(|sink| (*sink).to_owned()).collect();
        tx.open_pipeline(pipeline, &sinks)?;
        let passed = [1, 2].map(|id| PassedEvent {
            id: EventId(id),
            subject: "shop".into(),
            json: "{}".into(),
            passed_at: Timestamp::from_unix_ms(id),
        });
        tx.add_to_batch(pipeline, &passed)
    }

    #[tokio::test]
    async fn what_is_in_the_batch_of_a_forgotten_pipeline_goes_to_its_sinks() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _threads) = Store::open(&dir.path().join("db"), &Log::new()).expect("a store");
        let told = store.write(|tx| {
            with_a_batch(tx, "all", &["chat", "hook"])?;
            let last = end_pipeline(tx, "j1", "all")?;
            let expected = LastBatch {
                events: 2,
                sinks: vec!["chat".into(), "hook".into()],
            };
            assert_eq!(last, expected);
            for sink in ["chat", "hook"] {
                let queued = tx.next_delivery(sink)?.expect("it waits").delivery;
                assert_eq!(queued.events, [EventId(1), EventId(2)]);
                assert_eq!(queued.pipeline, "all");
            }
            assert!(tx.pipeline_names()?.is_empty());
            assert_eq!(tx.batched("all")?, 0);

            // From before its sinks were kept.
            with_a_batch(tx, "old", &[])?;
            let lost = end_pipeline(tx, "j1", "old")?;
            assert_eq!((lost.events, lost.sinks.len()), (2, 0));
            Ok(())
        });
        told.await.expect("written");
    }
}
