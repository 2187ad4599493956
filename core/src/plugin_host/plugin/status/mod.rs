//! What is known of a plugin: its state, which version runs, what is wrong with it.

mod change;
mod quarantine;
mod view;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use self::change::Change;
pub use self::quarantine::Quarantine;
use super::grants::Missing;
use crate::{
    events::Bus,
    model::{Granted, LastFault, PluginRole, PluginState, Severity, Timestamp},
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
