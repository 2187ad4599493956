use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::grants::Missing;
use crate::{
    events::Bus,
    model::{
        Actor, Asked, Granted, LastFault, NewEvent, Payload, Plugin, PluginRole, PluginState,
        PluginStatusPayload, Severity, SinkQueue, Subject, Timestamp,
    },
    plugin_host::{
        capabilities::PluginLog,
        clip::clipped,
        metrics::{FaultKind, Metrics},
        sandbox::{Description, Fault},
    },
};

/// The log does not repeat faults more often.
const FAULTS_SAID_EVERY: Duration = Duration::from_secs(1);

/// What is known of one plugin; each change of its state is published.
pub struct PluginStatus {
    name: String,
    /// Without, changes are told to nobody: it is a dry run's.
    bus: Option<Bus>,
    metrics: Arc<Metrics>,
    /// How often it was begun afresh: with a new version, or because somebody said so.
    beginnings: watch::Sender<u64>,
    known: Mutex<Known>,
}

struct Known {
    file: String,
    state: PluginState,
    error: Option<String>,
    /// Why its newest file is not what runs.
    refused: Option<String>,
    running: Option<Identity>,
    log: Option<PluginLog>,
    granted: Granted,
    missing: Missing,
    /// Of a newer file, which waits for that.
    waiting: Option<Missing>,
    suggested_toml: Option<String>,
    last_fault: Option<LastFault>,
    /// When the log last said so.
    fault_said: Option<Instant>,
    /// Places that leave it alone since it was last begun afresh.
    quarantines: usize,
    rests_until: Option<Timestamp>,
}

/// A state that it gets, and what is to be said of that.
struct Change {
    state: PluginState,
    error: Option<String>,
    severity: Severity,
}

/// Which version it is.
#[derive(Debug, Clone)]
pub struct Identity {
    pub role: PluginRole,
    pub description: Description,
    /// Version of the plugin contract that it was built for.
    pub contract: String,
    pub digest: String,
    pub loaded_at: Timestamp,
}

/// A version as far as people want to know of it.
pub struct Accepted {
    pub identity: Identity,
    pub log: PluginLog,
    pub granted: Granted,
    pub missing: Missing,
}

impl PluginStatus {
    pub fn new(name: &str, file: String, bus: Option<Bus>) -> Self {
        Self {
            name: name.to_owned(),
            bus,
            metrics: Arc::default(),
            beginnings: watch::Sender::new(0),
            known: Mutex::new(Known {
                file,
                state: PluginState::Loading,
                error: None,
                refused: None,
                running: None,
                log: None,
                granted: Granted::default(),
                missing: Missing::default(),
                waiting: None,
                suggested_toml: None,
                last_fault: None,
                fault_said: None,
                quarantines: 0,
                rests_until: None,
            }),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub fn beginnings(&self) -> watch::Receiver<u64> {
        self.beginnings.subscribe()
    }

    pub fn state(&self) -> PluginState {
        self.lock().state
    }

    pub fn role(&self) -> Option<PluginRole> {
        self.lock().running.as_ref().map(|identity| identity.role)
    }

    /// What was last wrong with it, for those who have to wait for it.
    pub fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    /// In which version, and what.
    pub fn last_fault(&self) -> String {
        let known = self.lock();
        let last = known.last_fault.as_ref();
        last.map_or_else(String::new, |it| format!("{}: {}", it.version, it.text))
    }

    pub fn set_file(&self, file: String) {
        self.lock().file = file;
    }

    /// A version was taken; whatever was wrong before is over.
    pub fn accepted(&self, accepted: Accepted) {
        let Accepted {
            identity,
            log,
            granted,
            missing,
        } = accepted;
        self.change(|known| {
            known.running = Some(identity);
            known.log = Some(log);
            known.granted = granted;
            (known.missing, known.waiting, known.refused) = (missing, None, None);
            known.suggested_toml = None;
            Some(self.begin_afresh(known))
        });
    }

    /// Ends a quarantine before its time; false where there is none.
    pub fn resume(&self) -> bool {
        self.change(|known| {
            (known.state == PluginState::Quarantined).then(|| self.begin_afresh(known))
        })
    }

    /// Whoever leaves it alone asks it again at once. Under the lock: who counts itself in
    /// or out sees all of it or nothing.
    fn begin_afresh(&self, known: &mut Known) -> Change {
        known.quarantines = 0;
        self.beginnings.send_modify(|beginning| *beginning += 1);
        known.runs()
    }

    /// A file that nothing uses yet.
    pub fn described(&self, identity: Identity, suggested_toml: String) {
        self.change(|known| {
            known.running = Some(identity);
            known.suggested_toml = Some(suggested_toml);
            Some(Change::to(PluginState::NotConfigured, None, Severity::Info))
        });
    }

    /// A change was not taken; what ran before, if anything did, still runs.
    pub fn rejected(&self, error: String) {
        self.change(|known| {
            let state = match known.state {
                running @ (PluginState::Running | PluginState::Quarantined) => running,
                _ => PluginState::Failed,
            };
            (known.waiting, known.refused) = (None, Some(error.clone()));
            Some(Change::to(state, Some(error), Severity::Error))
        });
    }

    /// A task of its own has panicked, which is our fault: nothing works for it any more.
    pub fn broken(&self, error: String) {
        self.metrics.faults.add(FaultKind::Host);
        self.change(|known| {
            known.refused = Some(error.clone());
            Some(Change::to(
                PluginState::Failed,
                Some(error),
                Severity::Error,
            ))
        });
    }

    /// Its new file asks for more than the old one: that one runs on until the
    /// operator has decided.
    pub fn waits_for_approval(&self, missing: Missing, digest: &str) {
        let lines = missing.lines.join(" and ");
        let error = format!(
            "its new file asks for more and waits, the old one runs on. Grant it with \
             `tiny-forge plugin grant {name}`, or by adding {lines}; or take the file without \
             that by setting sha256 = \"{digest}\"",
            name = self.name
        );
        self.change(|known| {
            (known.waiting, known.refused) = (Some(missing), Some(error.clone()));
            Some(Change::to(known.state, Some(error), Severity::Warning))
        });
    }

    /// What the running version asks for and does not have.
    pub fn lacks(&self) -> Missing {
        self.lock().missing.clone()
    }

    /// What the newest version asks for and does not have.
    pub fn asks_for(&self) -> Missing {
        self.lock().asked_for().clone()
    }

    /// What it asks for can be granted from the sealed store, or not any more.
    pub fn note_stored(&self, secret: &str, is_stored: bool) {
        let mut known = self.lock();
        known.missing.note_stored(secret, is_stored);
        if let Some(waiting) = &mut known.waiting {
            waiting.note_stored(secret, is_stored);
        }
    }

    /// Its file is gone.
    pub fn missing(&self, error: String) {
        self.change(|known| {
            known.waiting = None;
            Some(Change::to(
                PluginState::Missing,
                Some(error),
                Severity::Warning,
            ))
        });
    }

    pub fn count_fault(&self, version: &str, fault: &Fault) {
        self.metrics.faults.add(fault.kind());
        let is_said = {
            let mut known = self.lock();
            known.last_fault = Some(LastFault {
                at: Timestamp::now(),
                version: version.to_owned(),
                kind: fault.kind().as_str().to_owned(),
                text: clipped(fault.to_string()),
            });
            let now = Instant::now();
            let was_said = known.fault_said.replace(now);
            was_said.is_none_or(|at| now.duration_since(at) >= FAULTS_SAID_EVERY)
        };
        // One that only says no is asked again with the next event.
        if is_said {
            let kind = fault.kind().as_str();
            // Quoted, so that it makes no lines of its own.
            let fault = fault.to_string();
            tracing::warn!(plugin = self.name, version, kind, fault, "a plugin failed");
        }
    }

    /// One more place leaves it alone; since which beginning.
    pub(super) fn enter_quarantine(&self) -> u64 {
        let mut known = self.lock();
        known.quarantines += 1;
        *self.beginnings.borrow()
    }

    pub(super) fn leave_quarantine(&self, beginning: u64) {
        self.change(|known| {
            if *self.beginnings.borrow() != beginning {
                return None;
            }
            known.quarantines -= 1;
            let is_over = known.quarantines == 0 && known.state == PluginState::Quarantined;
            is_over.then(|| known.runs())
        });
    }

    /// Of a quarantine that was entered since `beginning`. Where it was begun afresh by now
    /// that is over, and one that has gone by now is not there to be left alone.
    pub(super) fn quarantined(
        &self,
        beginning: u64,
        version: &str,
        fault: &Fault,
        rests_for: Duration,
    ) {
        let rests_ms = u64::try_from(rests_for.as_millis()).unwrap_or(u64::MAX);
        let error = format!("quarantined after repeated faults, the last in {version}: {fault}");
        self.change(|known| {
            let is_there = matches!(known.state, PluginState::Running | PluginState::Quarantined);
            if *self.beginnings.borrow() != beginning || !is_there {
                return None;
            }
            known.rests_until = Some(Timestamp::now().plus_ms(rests_ms));
            Some(Change::to(
                PluginState::Quarantined,
                Some(error),
                Severity::Error,
            ))
        });
    }

    /// As the API shows it.
    pub fn view(&self, queue: Option<SinkQueue>) -> Plugin {
        let known = self.lock();
        let identity = known.running.as_ref();
        let description = identity.map(|identity| &identity.description);
        let is_sink = identity.is_some_and(|identity| identity.role == PluginRole::Sink);
        Plugin {
            name: self.name.clone(),
            file: known.file.clone(),
            state: known.state,
            error: known.error.clone(),
            rests_until: known
                .rests_until
                .filter(|_| known.state == PluginState::Quarantined),
            role: identity.map(|identity| identity.role),
            version: description.map(|it| it.version.clone()),
            description: description.map(|it| it.description.clone()),
            contract: identity.map(|identity| identity.contract.clone()),
            digest: identity.map(|identity| identity.digest.clone()),
            loaded_at: identity.map(|identity| identity.loaded_at),
            config_schema: description.map(|it| it.config_schema.clone()),
            asked: description.map_or_else(Asked::default, |it| it.asked.clone()),
            granted: known.granted.clone(),
            missing_grants: known.asked_for().lines.clone(),
            suggested_toml: known.suggested_toml.clone(),
            calls: self.metrics.calls(),
            last_fault: known.last_fault.clone(),
            memory: self.metrics.memory(),
            http_requests: self.metrics.http_requests(),
            deliveries: is_sink.then(|| self.metrics.deliveries()),
            queue,
            recent_log: known.log.as_ref().map(PluginLog::lines).unwrap_or_default(),
        }
    }

    /// Decided, done and told under one lock, so that no other change comes in between.
    /// Publishes only what is news; false where `decide` leaves it in its state.
    fn change(&self, decide: impl FnOnce(&mut Known) -> Option<Change>) -> bool {
        let mut known = self.lock();
        let Some(change) = decide(&mut known) else {
            return false;
        };
        let Change {
            state,
            error,
            severity,
        } = change;
        let identity = known.running.as_ref();
        let payload = PluginStatusPayload {
            plugin: self.name.clone(),
            state: state.as_str().to_owned(),
            previous: (known.state != state).then(|| known.state.as_str().to_owned()),
            digest: identity.map(|identity| identity.digest.clone()),
            version: identity.map(|identity| identity.description.version.clone()),
            error: error.clone(),
        };
        let is_news = known.state != state || known.error != error || error.is_none();
        known.state = state;
        known.error = error;
        if is_news {
            self.publish(payload, severity);
        }
        true
    }

    /// It does not wait.
    fn publish(&self, payload: PluginStatusPayload, severity: Severity) {
        let Some(bus) = &self.bus else {
            return;
        };
        let event = NewEvent::new(
            Subject::other(format!("plugins/{}", self.name)),
            severity,
            Actor::system("plugins"),
            Payload::PluginStatus(payload),
        );
        if let Err(error) = bus.publish(event) {
            tracing::warn!(%error, plugin = self.name, "a change of a plugin could not be told");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whatever was wrong with its calls is over, and what is wrong with its file is not.
    fn runs(&self) -> Change {
        Change::to(PluginState::Running, self.refused.clone(), Severity::Info)
    }

    fn asked_for(&self) -> &Missing {
        self.waiting.as_ref().unwrap_or(&self.missing)
    }
}

impl Change {
    const fn to(state: PluginState, error: Option<String>, severity: Severity) -> Self {
        Self {
            state,
            error,
            severity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> PluginStatus {
        let status = PluginStatus::new("rules", "rules.wasm".into(), None);
        status.change(|known| Some(known.runs()));
        status
    }

    fn fails(status: &PluginStatus, beginning: u64) -> PluginState {
        let rests_for = Duration::from_secs(30);
        status.quarantined(beginning, "version 1", &Fault::Dead, rests_for);
        status.state()
    }

    #[test]
    fn a_fault_of_before_it_was_resumed_puts_it_into_no_quarantine_that_nobody_ends() {
        let status = running();
        let before = status.enter_quarantine();
        assert_eq!(fails(&status, before), PluginState::Quarantined);
        assert!(status.resume());
        assert!(!status.resume());
        assert_eq!(fails(&status, before), PluginState::Running);
        status.leave_quarantine(before);
        assert_eq!(status.state(), PluginState::Running);

        let since = status.enter_quarantine();
        assert_eq!(fails(&status, since), PluginState::Quarantined);
        status.leave_quarantine(since);
        assert_eq!(status.state(), PluginState::Running);
    }

    #[test]
    fn a_plugin_whose_file_has_gone_is_neither_quarantined_nor_seen_to_run() {
        let status = running();
        let beginning = status.enter_quarantine();
        status.missing("it is not in the plugins folder".into());
        assert_eq!(fails(&status, beginning), PluginState::Missing);
        status.leave_quarantine(beginning);
        assert_eq!(status.state(), PluginState::Missing);
    }
}
