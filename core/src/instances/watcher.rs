use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Planned,
    change::{self, Change, Knowledge},
    crash_loop::CrashLoops,
    event::{self, Circumstances},
    last_words::LastWords,
    told::Told,
};
use crate::{
    engine::{self, Engine, EngineError, Hint, Observation},
    model::{
        Actor, Instance, InstanceReason, InstanceSource, InstanceStatus, NewEvent, Payload,
        Severity, Subject, SystemPayload, Timestamp, WatchGapPayload,
    },
    store::{Keyring, Store, StoreError},
};

/// Observations that may wait to be looked at; when it is full the watcher
/// drops hints and asks for a comparison instead.
const QUEUE_LENGTH: usize = 1_024;
/// After a signal, an end within this time was asked for.
const SIGNAL_WINDOW: Duration = Duration::from_secs(60);

/// Follows the engine until cancelled.
pub async fn run(
    store: Store,
    engine: Engine,
    keyring: Arc<Keyring>,
    planned: Planned,
    token: CancellationToken,
) {
    let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
    let watching = engine::watch(&engine, sender, token.clone());
    let folding = async {
        match Watcher::load(store, engine.clone(), keyring, planned).await {
            Ok(watcher) => watcher.run(receiver).await,
            Err(error) => tracing::error!(%error, "instances cannot be watched"),
        }
    };
    let both = futures_util::future::join(watching, folding);
    token.run_until_cancelled(both).await;
}

struct Watcher {
    store: Store,
    engine: Engine,
    planned: Planned,
    /// By container id: the same as the table.
    known: HashMap<String, Instance>,
    /// Containers that were sent a signal to end them.
    signalled: HashMap<String, Timestamp>,
    told: Told,
    loops: CrashLoops,
    last_words: LastWords,
    /// What was known before this server started is of the past.
    first_connection: bool,
    /// When everything was last known: what ended later has not been told yet.
    complete_until: Timestamp,
    /// Since when something could not be written, such as on a full disk.
    unkept_since: Option<Timestamp>,
}

impl Watcher {
    async fn load(
        store: Store,
        engine: Engine,
        keyring: Arc<Keyring>,
        planned: Planned,
    ) -> Result<Self, StoreError> {
        let known = store.read(|reader| reader.instances()).await?;
        let told = Told::before(known.iter());
        let newest = known.iter().map(|instance| instance.updated_at).max();
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
            signalled: HashMap::new(),
            told,
            loops: CrashLoops::default(),
            last_words,
            first_connection: true,
            complete_until: newest.unwrap_or_else(Timestamp::now),
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
            Observation::Resync => self.compare_all().await,
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
        self.compare_all().await
    }

    async fn connected(&mut self) -> Result<(), StoreError> {
        let version = self
            .engine
            .connection()
            .borrow()
            .version
            .clone()
            .unwrap_or_default();
        self.say(
            "engine_connected",
            Severity::Info,
            format!("Docker {version} connected"),
        )
        .await?;
        if std::mem::take(&mut self.first_connection)
            && let Some(last) = self
                .known
                .values()
                .map(|instance| instance.updated_at)
                .max()
        {
            let reason = "the server was not running";
            self.gap(last, Timestamp::now(), reason).await?;
        }
        Ok(())
    }

    async fn lost(&mut self) -> Result<(), StoreError> {
        let error = self.engine.connection().borrow().error.clone();
        let message = error.unwrap_or_else(|| "the connection to the engine broke".into());
        self.say("engine_lost", Severity::Error, message).await
    }

    async fn look_at(&mut self, hint: Hint) -> Result<(), StoreError> {
        match hint.action.as_str() {
            "kill" => {
                if !hint.signal.is_some_and(|signal| is_no_farewell(&signal)) {
                    self.signalled.insert(hint.id, Timestamp::now());
                }
                return Ok(());
            }
            "destroy" => return self.forget(&hint.id, InstanceSource::Event).await,
            _ => {}
        }
        match self.engine.inspect(&hint.id).await {
            Ok(found) => self.take(&hint, found.instance).await,
            // It is gone already: the hint that says so follows.
            Err(EngineError::NotFound { .. }) => self.end_of_the_gone(&hint).await,
            Err(error) => {
                tracing::debug!(%error, "a hint could not be checked; the next comparison will");
                Ok(())
            }
        }
    }

    /// A container that removes itself leaves nothing to inspect, only the hint.
    async fn end_of_the_gone(&mut self, hint: &Hint) -> Result<(), StoreError> {
        let Some(before) = self.known.get(&hint.id).filter(|_| hint.action == "die") else {
            return Ok(());
        };
        let now = Instance {
            status: InstanceStatus::Exited,
            exit_code: hint.exit_code,
            finished_at: Some(hint.time),
            updated_at: Timestamp::now(),
            ..before.clone()
        };
        self.take(hint, now).await
    }

    async fn take(&mut self, hint: &Hint, now: Instance) -> Result<(), StoreError> {
        if self.told.covers(hint, &now) {
            return Ok(());
        }
        let ends = hint.action == "die";
        let knowledge = self.knowledge(&now, ends.then_some(hint.time));
        let change = change::by_hint(hint, self.known.get(&now.id), &now, knowledge);
        self.keep(now, change, InstanceSource::Event, Some(hint.time))
            .await
    }

    /// Reads everything; publishes what no event told.
    async fn compare_all(&mut self) -> Result<(), StoreError> {
        let begun = Timestamp::now();
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
            let now = found.instance;
            let end = last_turn(&now).filter(|_| change::is_ended(now.status));
            let knowledge = self.knowledge(&now, end);
            let change = change::by_difference(self.known.get(id), &now, knowledge);
            self.keep(now, change, InstanceSource::Resync, None).await?;
        }
        let listed: HashSet<String> = listed.into_iter().collect();
        let missing: Vec<String> = self
            .known
            .keys()
            .filter(|id| !listed.contains(*id))
            .cloned()
            .collect();
        for id in missing {
            // A listing proves no absence: only a second reading does.
            if self
                .engine
                .inspect(&id)
                .await
                .is_err_and(|error| error.is_not_found())
            {
                self.forget(&id, InstanceSource::Resync).await?;
            }
        }
        self.complete_until = begun;
        Ok(())
    }

    /// State and events in one transaction.
    async fn keep(
        &mut self,
        mut now: Instance,
        change: Option<Change>,
        source: InstanceSource,
        time: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut circumstances = self.circumstances(&now, source, time.or(last_turn(&now)));
        let (before, at) = (self.known.get(&now.id), time.unwrap_or(now.updated_at));
        // Only our deploys create managed ones, whose ids they learn too late to tell us.
        let is_created = |change: &Change| change.reason == InstanceReason::Created;
        circumstances.planned |= now.managed && change.as_ref().is_some_and(is_created);
        // What a deploy does, and what it watches, is judged by the deploy.
        let news = change.as_ref().filter(|_| !circumstances.planned);
        let complete_until = self.complete_until;
        let further = self.loops.judge(before, &mut now, news, at, complete_until);
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
        }
        self.known.insert(now.id.clone(), now);
        Ok(())
    }

    async fn forget(&mut self, id: &str, source: InstanceSource) -> Result<(), StoreError> {
        let Some(before) = self.known.get(id) else {
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
        let circumstances = self.circumstances(&gone, source, None);
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
    fn knowledge(&mut self, now: &Instance, end: Option<Timestamp>) -> Knowledge {
        Knowledge {
            complete_until: self.complete_until,
            end_is_told: self.told.has_end_of(now),
            asked_to_stop: end.is_some_and(|end| self.was_asked_to_stop(&now.id, end)),
            told_health: self.told.health_of(&now.id),
        }
    }

    fn was_asked_to_stop(&mut self, id: &str, end: Timestamp) -> bool {
        let window = SIGNAL_WINDOW.as_millis() as u64;
        self.signalled
            .retain(|_, at| Timestamp::now().ms_since(*at) < window);
        self.signalled.remove(id).is_some() || self.planned.contains(id, end)
    }

    async fn gap(&self, from: Timestamp, to: Timestamp, reason: &str) -> Result<(), StoreError> {
        let payload = Payload::WatchGap(WatchGapPayload {
            from,
            to,
            reason: reason.to_owned(),
        });
        self.publish(Severity::Warning, payload).await
    }

    async fn say(&self, what: &str, severity: Severity, message: String) -> Result<(), StoreError> {
        self.publish(
            severity,
            Payload::System(SystemPayload {
                what: what.into(),
                message,
            }),
        )
        .await
    }

    async fn publish(&self, severity: Severity, payload: Payload) -> Result<(), StoreError> {
        let actor = Actor::system("watcher");
        let event = NewEvent::new(Subject::other("engine"), severity, actor, payload);
        self.store
            .write(move |tx| tx.publish(event).map(drop))
            .await
    }
}

/// HUP, USR1, USR2 and WINCH, by the engine's numbers: they ask for something
/// else than an end, such as another look at the configuration.
fn is_no_farewell(signal: &str) -> bool {
    matches!(signal, "1" | "10" | "12" | "28")
}

/// When it last came to run or ceased to, as the engine says.
fn last_turn(now: &Instance) -> Option<Timestamp> {
    if change::is_ended(now.status) {
        now.finished_at
    } else {
        now.started_at
    }
}

/// Nothing but the time of reading differs.
fn same(before: &Instance, now: &Instance) -> bool {
    Instance {
        updated_at: now.updated_at,
        ..before.clone()
    } == *now
}
