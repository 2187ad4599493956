use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{PluginStatus, Version, Versions, rest::Rest, status::Quarantine};
use crate::{
    model::TestRequest,
    plugin_host::{
        clip::clipped,
        metrics::Metrics,
        sandbox::{
            Decision, DeliveryContext, DeliveryOutcome, Fault, FieldError, Guest, GuestEvent,
            Sandbox,
        },
    },
    store::PluginWrite,
};

/// Of what is wrong with a configuration.
const FIELDS_TOLD: usize = 10;

/// Keeps one guest of a plugin running for one owner: starts it when it is
/// needed, changes over to a new version between two events, and starts it
/// again after a fault, once it has rested.
pub struct Runner {
    sandbox: Sandbox,
    versions: Versions,
    /// The same; what is waited for with these has not been called yet.
    awaited: Versions,
    status: Arc<PluginStatus>,
    running: Option<Running>,
    called: Option<Arc<Version>>,
    took: Duration,
    rest: Rest,
    quarantine: Option<Quarantine>,
    /// Changes when whatever was wrong is to be forgotten.
    beginnings: watch::Receiver<u64>,
}

struct Running {
    version: Arc<Version>,
    guest: Guest,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("plugin `{plugin}` cannot be used at present")]
    Absent { plugin: String },
    #[error("plugin `{plugin}` rests after faults, the last in {last}")]
    Resting {
        plugin: String,
        for_another: Duration,
        last: String,
    },
    #[error("plugin `{plugin}`, {version}: {fault}")]
    Fault {
        plugin: String,
        /// With its digest.
        version: String,
        fault: Fault,
        /// It was asked, and not only started.
        was_asked: bool,
    },
}

impl Runner {
    pub fn new(sandbox: Sandbox, versions: Versions, status: Arc<PluginStatus>) -> Self {
        Self {
            sandbox,
            awaited: versions.clone(),
            versions,
            beginnings: status.beginnings(),
            status,
            running: None,
            called: None,
            took: Duration::ZERO,
            rest: Rest::default(),
            quarantine: None,
        }
    }

    pub fn plugin(&self) -> &str {
        self.status.name()
    }

    pub fn metrics(&self) -> &Metrics {
        self.status.metrics()
    }

    /// Version and digest of what was called last.
    pub fn identity(&self) -> Option<(String, String)> {
        let version = self.called.as_ref()?;
        Some((version.number.clone(), version.module.digest().to_owned()))
    }

    pub fn versions(&self) -> Versions {
        self.versions.clone()
    }

    /// Whether its plugin cannot be used now, and a call has to wait for that.
    pub fn is_absent(&self) -> bool {
        self.versions.borrow().is_none()
    }

    /// Waits until the plugin can be used.
    pub async fn until_present(&mut self) {
        // The supervisor lives as long as whoever uses it.
        if self.awaited.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until it was resumed, or has another version.
    pub async fn news(&mut self) {
        tokio::select! {
            Ok(()) = self.beginnings.changed() => self.wake(),
            Ok(()) = self.awaited.changed() => {}
            else => std::future::pending().await,
        }
    }

    pub async fn filter(&mut self, event: &GuestEvent) -> Result<Decision, RunError> {
        let guest = self.guest().await?;
        let answer = guest.filter(event).await;
        if matches!(answer, Ok(Decision::Drop(_))) {
            self.status.metrics().drops.add();
        }
        self.settle(answer)
    }

    /// The JSON object that the plugin adds, if it does.
    pub async fn enrich(&mut self, event: &GuestEvent) -> Result<Option<JsonObject>, RunError> {
        let guest = self.guest().await?;
        let answer = guest.enrich(event).await;
        self.settle(answer)
    }

    pub async fn deliver(
        &mut self,
        context: &DeliveryContext,
        events: &[GuestEvent],
    ) -> Result<DeliveryOutcome, RunError> {
        let guest = self.guest().await?;
        let answer = guest.deliver(context, events).await;
        self.settle(answer)
    }

    /// How long the last call took; nothing where the guest was not reached.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// What successful calls have written since this was last asked; to be
    /// committed together with their results.
    pub fn take_writes(&mut self) -> Vec<PluginWrite> {
        self.running
            .as_mut()
            .map(|running| running.guest.take_writes())
            .unwrap_or_default()
    }

    /// The HTTP requests of the last call.
    pub fn take_requests(&mut self) -> Vec<TestRequest> {
        self.running
            .as_mut()
            .map(|running| running.guest.take_requests())
            .unwrap_or_default()
    }

    /// Asks it again at once, however often it has failed.
    pub fn wake(&mut self) {
        self.rest = Rest::default();
        self.quarantine = None;
    }

    async fn guest(&mut self) -> Result<&mut Guest, RunError> {
        self.took = Duration::ZERO;
        let is_current = matches!(self.versions.has_changed(), Ok(false));
        if self.running.is_none() || !is_current {
            self.change_over().await?;
        }
        Ok(&mut self.running.as_mut().expect("just started").guest)
    }

    async fn change_over(&mut self) -> Result<(), RunError> {
        self.called = self.versions.borrow_and_update().clone();
        self.awaited.clone_from(&self.versions);
        let Some(version) = self.called.clone() else {
            self.running = None;
            return Err(RunError::Absent {
                plugin: self.plugin().to_owned(),
            });
        };
        let is_new = self
            .running
            .as_ref()
            .is_none_or(|running| !Arc::ptr_eq(&running.version, &version));
        if is_new {
            self.start(version).await?;
        }
        Ok(())
    }

    async fn start(&mut self, version: Arc<Version>) -> Result<(), RunError> {
        let changed = self
            .running
            .take()
            .is_some_and(|before| !Arc::ptr_eq(&before.version, &version));
        let begins_afresh = self.beginnings.has_changed().unwrap_or(false);
        if changed || begins_afresh {
            self.beginnings.mark_unchanged();
            self.wake();
        }
        let now = Instant::now();
        if let Some(until) = self.rest.until(now) {
            return Err(RunError::Resting {
                plugin: self.plugin().to_owned(),
                for_another: until - now,
                last: self.status.last_fault(),
            });
        }
        match start_configured(&self.sandbox, &version).await {
            Ok(guest) => {
                self.running = Some(Running { version, guest });
                Ok(())
            }
            Err(fault) => Err(self.fault(&version, fault, false)),
        }
    }

    fn settle<T>(&mut self, answer: Result<T, Fault>) -> Result<T, RunError> {
        let running = self.running.as_ref();
        self.took = running.map_or(Duration::ZERO, |running| running.guest.took());
        self.status.metrics().calls.record(self.took);
        match answer {
            Ok(value) => {
                self.wake();
                Ok(value)
            }
            Err(fault) => {
                let running = self.running.as_ref().expect("it has just answered");
                let version = running.version.clone();
                Err(self.fault(&version, fault, true))
            }
        }
    }

    /// After a fault the guest is gone and rests, unless it only said no in
    /// good order.
    fn fault(&mut self, version: &Version, fault: Fault, was_asked: bool) -> RunError {
        let alive = self
            .running
            .as_ref()
            .is_some_and(|running| !running.guest.is_dead());
        let rests_for = if alive {
            None
        } else {
            self.running = None;
            self.rest.fault(Instant::now())
        };
        let version = version.label();
        self.status.count_fault(&version, &fault);
        if let Some(time) = rests_for {
            let quarantine = self
                .quarantine
                .get_or_insert_with(|| Quarantine::new(&self.status));
            quarantine.tell(&version, &fault, time);
        }
        RunError::Fault {
            plugin: self.plugin().to_owned(),
            version,
            fault,
            was_asked,
        }
    }
}

async fn start_configured(sandbox: &Sandbox, version: &Version) -> Result<Guest, Fault> {
    let mut guest = Guest::start(sandbox, &version.module, &version.setup).await?;
    match guest.configure(&version.config).await? {
        Ok(()) => Ok(guest),
        Err(errors) => Err(Fault::BadAnswer(format!(
            "it refused a configuration that it had taken before: {}",
            describe_fields(&errors)
        ))),
    }
}

/// `/url: expected an address; /channel: missing`; the first ones, where there are many.
pub(super) fn describe_fields(errors: &[FieldError]) -> String {
    let one = |error: &FieldError| {
        let field = if error.field.is_empty() {
            "config"
        } else {
            &error.field
        };
        format!("{field}: {}", error.message)
    };
    let mut told: Vec<String> = errors.iter().take(FIELDS_TOLD).map(one).collect();
    if errors.len() > FIELDS_TOLD {
        told.push(format!("and {} more", errors.len() - FIELDS_TOLD));
    }
    clipped(told.join("; "))
}

type JsonObject = serde_json::Map<String, serde_json::Value>;
