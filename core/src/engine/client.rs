use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error as BollardError};
use rand::Rng;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard, Notify, watch};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::EngineError;
use crate::{
    failpoint::{self, Failpoint},
    model::Timestamp,
};

/// Calls that should be quick: inspect, list, create, start.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(30);
/// bollard's own limit on streams; pulls and logs have watchdogs of ours.
const STREAM_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// An engine under load is slow, not gone; one that is gone refuses at once.
/// So many pings in a row may go unanswered before it counts as gone.
const SLOW_PINGS_MAX: u32 = 3;
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long `connected` may be out of date.
const PING_EVERY: Duration = Duration::from_secs(3);
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Whether the engine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    Connecting,
    Connected,
    Absent,
}

/// What is known of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = EngineView)]
pub struct Connection {
    pub state: EngineState,
    pub endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daemon_id: Option<String>,
    /// Why it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same without what surrounds it.
    #[serde(skip)]
    pub(super) reason: Option<String>,
    pub since: Timestamp,
}

/// A handle on the engine; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: String,
    connection: watch::Sender<Connection>,
    /// Present while connected; with the API version that was negotiated.
    clients: watch::Sender<Option<Clients>>,
    /// How far its clock is ahead of ours, as of the last connection.
    clock_ahead_ms: AtomicI64,
    /// Somebody has reason to doubt the connection.
    doubt: Notify,
    /// One makes a network at a time.
    networks: Mutex<()>,
}

#[derive(Clone)]
struct Clients {
    control: Docker,
    streams: Docker,
}

impl Engine {
    /// `endpoint`: `unix:///path`, `tcp://host:port` or `http://host:port`.
    pub fn new(endpoint: &str) -> Self {
        let connection = Connection {
            state: EngineState::Connecting,
            endpoint: endpoint.to_owned(),
            version: None,
            api_version: None,
            daemon_id: None,
            error: None,
            reason: None,
            since: Timestamp::now(),
        };
        let shared = Shared {
            endpoint: endpoint.to_owned(),
            connection: watch::Sender::new(connection),
            clients: watch::Sender::new(None),
            clock_ahead_ms: AtomicI64::new(0),
            doubt: Notify::new(),
            networks: Mutex::new(()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Keeps the connection until cancelled: connects when the engine appears,
    /// says so when it goes.
    pub async fn run(self, token: CancellationToken) {
        token.run_until_cancelled(self.keep_connected()).await;
    }

    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.shared.connection.subscribe()
    }

    /// Waits, for ever if need be, until the engine answers.
    pub async fn until_connected(&self) {
        let mut connection = self.connection();
        let connected = connection
            .wait_for(|now| now.state == EngineState::Connected)
            .await;
        drop(connected.expect("the sender lives in `self`"));
    }

    /// What its clock says now.
    pub fn now(&self) -> Timestamp {
        self.time_at(Timestamp::now())
    }

    /// What its clock says when ours says this.
    pub fn time_at(&self, ours: Timestamp) -> Timestamp {
        let ahead_ms = self.shared.clock_ahead_ms.load(Ordering::Relaxed);
        Timestamp::from_unix_ms(ours.unix_ms() + ahead_ms)
    }

    /// Asks to check the connection now instead of a little later.
    pub(super) fn check_now(&self) {
        self.shared.doubt.notify_one();
    }

    /// Connects once, for commands that need the engine now.
    pub async fn connect(&self) -> Result<(), EngineError> {
        let (clients, found) = self.try_connect().await?;
        self.shared.clients.send_replace(Some(clients));
        self.shared.connection.send_replace(found);
        Ok(())
    }

    pub(super) async fn network_turn(&self) -> MutexGuard<'_, ()> {
        self.shared.networks.lock().await
    }

    /// The client for quick calls.
    pub(super) fn control(&self) -> Result<Docker, EngineError> {
        self.clients().map(|clients| clients.control)
    }

    /// The client for what takes long: pulls, logs, waits, events.
    pub(super) fn streams(&self) -> Result<Docker, EngineError> {
        self.clients().map(|clients| clients.streams)
    }

    /// One quick call: within its time, and with an error that names `what`.
    pub(super) async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, BollardError>>,
    ) -> Result<T, EngineError> {
        self.call_within(what, CONTROL_TIMEOUT, call).await
    }

    pub(super) async fn call_within<T>(
        &self,
        what: &str,
        after: Duration,
        call: impl Future<Output = Result<T, BollardError>>,
    ) -> Result<T, EngineError> {
        let answer = tokio::time::timeout(after, call).await;
        failpoint::reached_by_deploy(Failpoint::DeployActed);
        match answer {
            Ok(answer) => answer.map_err(|error| self.error(what, error)),
            Err(_) => Err(EngineError::Timeout {
                what: what.to_owned(),
                after,
            }),
        }
    }

    pub(super) fn error(&self, what: &str, error: BollardError) -> EngineError {
        EngineError::of(what, &self.shared.endpoint, error)
    }

    fn clients(&self) -> Result<Clients, EngineError> {
        self.shared.clients.borrow().clone().ok_or_else(|| {
            let connection = self.shared.connection.borrow();
            EngineError::Absent {
                endpoint: self.shared.endpoint.clone(),
                reason: connection
                    .reason
                    .clone()
                    .unwrap_or_else(|| "not connected yet".into()),
            }
        })
    }

    async fn keep_connected(&self) {
        let mut delay = RETRY_FIRST;
        loop {
            match self.try_connect().await {
                Ok((clients, found)) => {
                    delay = RETRY_FIRST;
                    tracing::info!(
                        version = found.version,
                        endpoint = found.endpoint,
                        "engine connected"
                    );
                    self.shared.clients.send_replace(Some(clients.clone()));
                    self.shared.connection.send_replace(found);
                    let error = self.ping_until_lost(&clients.control).await;
                    tracing::warn!(%error, "engine lost");
                    self.lose(&error);
                }
                Err(error) => self.lose(&error),
            }
            let jitter = rand::rng().random_range(0..=delay.as_millis() as u64 / 2);
            tokio::time::sleep(delay / 2 + Duration::from_millis(jitter)).await;
            delay = (delay * 2).min(RETRY_MAX);
        }
    }

    fn lose(&self, error: &EngineError) {
        self.shared.clients.send_replace(None);
        self.shared.connection.send_modify(|connection| {
            if connection.state != EngineState::Absent {
                connection.since = Timestamp::now();
            }
            connection.state = EngineState::Absent;
            connection.error = Some(error.to_string());
            connection.reason = Some(error.reason());
        });
    }

    async fn try_connect(&self) -> Result<(Clients, Connection), EngineError> {
        let endpoint = &self.shared.endpoint;
        let open = |timeout: Duration| {
            let seconds = timeout.as_secs();
            let client = if endpoint.starts_with("unix://") {
                Docker::connect_with_unix(endpoint, seconds, API_DEFAULT_VERSION)
            } else {
                Docker::connect_with_http(endpoint, seconds, API_DEFAULT_VERSION)
            };
            client.map_err(|error| self.error("engine", error))
        };
        let negotiate = |client: Docker| async move {
            let negotiating = client.negotiate_version();
            self.call_within("the engine's version", PING_TIMEOUT, negotiating)
                .await
        };
        let control = negotiate(open(CONTROL_TIMEOUT)?).await?;
        let streams = negotiate(open(STREAM_TIMEOUT)?).await?;
        let asked = Timestamp::now();
        let info = self
            .call_within("the engine's name", PING_TIMEOUT * 3, control.info())
            .await?;
        let its_time = info.system_time.as_deref().and_then(Timestamp::parse);
        let ahead_ms = its_time.map_or(0, |it| ahead_ms(asked, it, Timestamp::now()));
        self.shared
            .clock_ahead_ms
            .store(ahead_ms, Ordering::Relaxed);
        let version = control.client_version();
        let found = Connection {
            state: EngineState::Connected,
            endpoint: endpoint.clone(),
            version: info.server_version,
            api_version: Some(format!(
                "{}.{}",
                version.major_version, version.minor_version
            )),
            daemon_id: info.id,
            error: None,
            reason: None,
            since: Timestamp::now(),
        };
        Ok((Clients { control, streams }, found))
    }

    async fn ping_until_lost(&self, control: &Docker) -> EngineError {
        let mut slow_pings = 0;
        loop {
            // Woken early by whoever saw a stream break.
            let _ = tokio::time::timeout(PING_EVERY, self.shared.doubt.notified()).await;
            match self.call_within("ping", PING_TIMEOUT, control.ping()).await {
                Ok(_) => slow_pings = 0,
                // Slow is not gone: calls have times of their own.
                Err(EngineError::Timeout { .. }) if slow_pings < SLOW_PINGS_MAX => slow_pings += 1,
                Err(error) => return error,
            }
        }
    }
}

/// How far a clock is ahead of ours that said `theirs` at some time between these two of
/// ours. Nothing, as far as that can be told: most engines are on this machine.
fn ahead_ms(asked: Timestamp, theirs: Timestamp, answered: Timestamp) -> i64 {
    if (asked..=answered).contains(&theirs) {
        return 0;
    }
    theirs.unix_ms() - i64::midpoint(asked.unix_ms(), answered.unix_ms())
}

#[cfg(test)]
mod tests {
    use super::{Engine, Ordering, Timestamp, ahead_ms};

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn a_clock_that_cannot_be_told_from_ours_is_ours() {
        assert_eq!(ahead_ms(at(1_000), at(1_090), at(1_100)), 0);
        assert_eq!(ahead_ms(at(1_000), at(61_050), at(1_100)), 60_000);
        assert_eq!(ahead_ms(at(61_000), at(1_050), at(61_100)), -60_000);
    }

    #[test]
    fn what_the_engine_calls_now_follows_its_own_clock() {
        let engine = Engine::new("unix:///nonexistent/docker.sock");
        engine
            .shared
            .clock_ahead_ms
            .store(-3_600_000, Ordering::Relaxed);
        assert_eq!(engine.time_at(at(3_600_001)), at(1));
        assert!(engine.now() < Timestamp::now());
    }
}
