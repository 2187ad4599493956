use std::{collections::HashMap, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Planned, change, crash_loop::CrashLoops, heard::Heard, last_words::LastWords, told::Told,
};
use crate::{
    engine::{self, Engine, EngineError, Hint, Observation},
    model::{Instance, InstanceSource, InstanceStatus, Timestamp},
    store::{Keyring, Store, StoreError},
};

/// Observations that may wait to be looked at; when it is full the watcher
/// drops hints and asks for a comparison instead.
const QUEUE_LENGTH: usize = 1_024;

/// What it watches with.
pub struct WatcherParts {
    pub store: Store,
    pub engine: Engine,
    pub keyring: Arc<Keyring>,
    pub planned: Planned,
    /// When this server began: what is older is of an earlier life of it.
    pub begun: Timestamp,
}

/// Follows the engine until cancelled.
pub async fn run(parts: WatcherParts, token: CancellationToken) {
    let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
    let engine = parts.engine.clone();
    let watching = engine::watch(&engine, sender, token.clone());
    let folding = async {
        match Watcher::load(parts).await {
            Ok(watcher) => watcher.run(receiver).await,
            Err(error) => tracing::error!(%error, "instances cannot be watched"),
        }
    };
    let both = futures_util::future::join(watching, folding);
    token.run_until_cancelled(both).await;
}

pub(super) struct Watcher {
    pub(super) store: Store,
    pub(super) engine: Engine,
    pub(super) planned: Planned,
    /// By container id: the same as the table.
    pub(super) known: HashMap<String, Instance>,
    pub(super) heard: Heard,
    pub(super) told: Told,
    pub(super) loops: CrashLoops,
    pub(super) last_words: LastWords,
    /// Exit codes of what ended while a deploy watched it: told once it has outlived that.
    pub(super) withheld: HashMap<String, Option<i64>>,
    /// Ends of containers that could not be inspected, and may be gone by now.
    pub(super) unchecked: HashMap<String, Hint>,
    /// The last sign of an earlier life of this server.
    pub(super) last_sign: Option<Timestamp>,
    /// What was known before this server started is of the past.
    pub(super) first_connection: bool,
    /// Until when an earlier life of this server has told everything, by the engine's clock.
    pub(super) past: Timestamp,
    /// When everything was last known, by the engine's clock: what ended later has not
    /// been told yet.
    pub(super) complete_until: Timestamp,
    /// Since when something could not be written, such as on a full disk.
    unkept_since: Option<Timestamp>,
}

impl Watcher {
    async fn load(parts: WatcherParts) -> Result<Self, StoreError> {
        let WatcherParts {
            store,
            engine,
            keyring,
            planned,
            begun,
        } = parts;
        let (known, last_sign) = store
            .read(move |reader| Ok((reader.instances()?, reader.newest_time_before(begun)?)))
            .await?;
        let told = Told::before(known.iter());
        let newest = known.iter().map(|instance| instance.updated_at).max();
        let past = newest.unwrap_or_else(Timestamp::now);
        let known = known
            .into_iter()
            .map(|instance| (instance.id.clone(), instance))
            .collect();
        let last_words = LastWords {
            store: store.clone(),
            engine: engine.clone(),
            keyring,
        };
        Ok(Self {
            store,
            engine,
            planned,
            known,
            heard: Heard::default(),
            told,
            loops: CrashLoops::default(),
            last_words,
            withheld: HashMap::new(),
            unchecked: HashMap::new(),
            last_sign,
            first_connection: true,
            past,
            complete_until: past,
            unkept_since: None,
        })
    }

    async fn run(mut self, mut observations: mpsc::Receiver<Observation>) {
        while let Some(observation) = observations.recv().await {
            let begun = Timestamp::now();
            let mut outcome = self.observe(observation).await;
            if outcome.is_ok() {
                outcome = self.make_good().await;
            }
            if let Err(error) = outcome {
                tracing::warn!(%error, "an observation of the engine was not kept");
                self.unkept_since.get_or_insert(begun);
            }
        }
    }

    async fn observe(&mut self, observation: Observation) -> Result<(), StoreError> {
        match observation {
            Observation::Connected => self.connected().await,
            Observation::Lost => self.lost().await,
            Observation::Hint(hint) => self.look_at(hint).await,
            Observation::Resync { asked } => self.compare_all(asked).await,
            Observation::Gap { from, to, reason } => self.gap(from, to, reason).await,
        }
    }

    /// Once it can be written again: says since when it could not, and looks at everything.
    async fn make_good(&mut self) -> Result<(), StoreError> {
        let Some(since) = self.unkept_since else {
            return Ok(());
        };
        let reason = "what was seen could not be written";
        self.gap(since, Timestamp::now(), reason).await?;
        self.unkept_since = None;
        self.compare_all(self.engine.now()).await
    }

    async fn look_at(&mut self, hint: Hint) -> Result<(), StoreError> {
        if self.is_answered(&hint) {
            return Ok(());
        }
        self.heard.keep(&hint);
        match hint.action.as_str() {
            "kill" => return Ok(()),
            "destroy" => {
                self.end_unchecked(&hint.id).await?;
                let source = InstanceSource::Event;
                return self.forget(&hint.id, source, Some(hint.time)).await;
            }
            _ => {}
        }
        match self.engine.inspect(&hint.id).await {
            Ok(found) => self.take(&hint, found.instance).await,
            // It is gone already: the hint that says so follows.
            Err(EngineError::NotFound { .. }) => self.end_of_the_gone(&hint).await,
            Err(error) => {
                tracing::debug!(%error, "a hint could not be checked; the next comparison will");
                if hint.action == "die" {
                    self.unchecked.insert(hint.id.clone(), hint);
                }
                Ok(())
            }
        }
    }

    /// The engine repeats it, and an earlier life of this server has looked since.
    fn is_answered(&self, hint: &Hint) -> bool {
        let known = self.known.get(&hint.id);
        let looked = known.map(|known| self.engine.time_at(known.updated_at));
        hint.time <= self.past && looked.is_some_and(|looked| hint.time <= looked)
    }

    async fn take(&mut self, hint: &Hint, now: Instance) -> Result<(), StoreError> {
        let ends = hint.action == "die";
        if self.told.covers(hint, &now) {
            if ends {
                // What led to it may have been heard only now.
                self.heard.ended(&now.id);
            }
            return Ok(());
        }
        let knowledge = self.knowledge(&now, ends.then_some(hint.time));
        let change = change::by_hint(hint, self.known.get(&now.id), &now, knowledge);
        self.keep(now, change, InstanceSource::Event, Some(hint.time))
            .await
    }

    /// A container that removes itself leaves nothing to inspect, only the hint.
    async fn end_of_the_gone(&mut self, hint: &Hint) -> Result<(), StoreError> {
        if hint.action != "die" {
            return Ok(());
        }
        let before = self.known.get(&hint.id).cloned();
        let is_news = hint.time > self.past;
        let Some(last) = before.or_else(|| is_news.then(|| hint.instance())) else {
            return Ok(());
        };
        let now = Instance {
            status: InstanceStatus::Exited,
            exit_code: hint.exit_code,
            finished_at: Some(hint.time),
            updated_at: Timestamp::now(),
            ..last
        };
        self.take(hint, now).await
    }

    /// It is gone, and its end was never looked at.
    pub(super) async fn end_unchecked(&mut self, id: &str) -> Result<(), StoreError> {
        match self.unchecked.remove(id) {
            Some(hint) => self.end_of_the_gone(&hint).await,
            None => Ok(()),
        }
    }
}
