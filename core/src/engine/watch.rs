use std::{collections::HashMap, time::Duration};

use bollard::{models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineState, seen::Seen};
use crate::model::Timestamp;

/// Full comparison with the engine, whatever its events say.
const RESYNC_EVERY: Duration = Duration::from_secs(45);
/// How far before the last event a new subscription starts: it must repeat
/// that event, which proves that nothing was lost in between.
const OVERLAP_MS: i64 = 5_000;
/// A replay comes at once; what has not come by then was forgotten.
const REPLAY_PATIENCE: Duration = Duration::from_secs(2);

/// What the replay tells is not to be found out by comparing first.
const REPLAY_SETTLES: Duration = Duration::from_millis(300);
/// Between a stream that broke and the next one.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Everything that changes what we show. `exec_*` stay on the server side:
/// each health check makes some, and their text may hold secrets.
const ACTIONS: [&str; 13] = [
    "create",
    "start",
    "restart",
    "die",
    "stop",
    "kill",
    "oom",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "health_status",
];

/// What was seen of the engine. Events are hints: the truth is inspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    Connected,
    Lost,
    Hint(Hint),
    /// Compare everything with the engine now.
    Resync,
    /// In this time something may have happened that nobody told us.
    Gap {
        from: Timestamp,
        to: Timestamp,
        reason: &'static str,
    },
}

/// Something happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub id: String,
    /// In the engine's words, without a suffix: `start`, `die`, …
    pub action: String,
    pub time: Timestamp,
    pub exit_code: Option<i64>,
    pub signal: Option<String>,
}

/// Reads the engine's events until cancelled. Only decodes and pushes: when
/// `out` is full, hints are dropped and made good by a gap and a resync.
pub async fn watch(engine: &Engine, out: mpsc::Sender<Observation>, token: CancellationToken) {
    let mut watcher = Watcher {
        engine,
        out,
        seen: Seen::default(),
        last: None,
        lost_at: None,
        dropped: false,
    };
    token.run_until_cancelled(watcher.run()).await;
}

struct Watcher<'e> {
    engine: &'e Engine,
    out: mpsc::Sender<Observation>,
    seen: Seen,
    /// Time of the newest event, by the engine's clock, in nanoseconds.
    last: Option<i64>,
    lost_at: Option<Timestamp>,
    /// Hints had to be dropped since the last resync.
    dropped: bool,
}

impl Watcher<'_> {
    async fn run(&mut self) {
        let connection = self.engine.connection();
        let mut announced = false;
        loop {
            self.engine.until_connected().await;
            if !std::mem::replace(&mut announced, true) {
                self.tell(Observation::Connected).await;
            }
            self.follow_events().await;
            self.lost_at = Some(Timestamp::now());
            // The stream can break before the connection is known to be lost.
            self.engine.check_now();
            tokio::time::sleep(RETRY_AFTER).await;
            if connection.borrow().state != EngineState::Connected {
                announced = false;
                self.tell(Observation::Lost).await;
            }
        }
    }

    /// Subscribes first, then asks for a comparison, then follows until the
    /// stream breaks or the connection is lost.
    async fn follow_events(&mut self) {
        let Ok(client) = self.engine.streams() else {
            return;
        };
        let now_ns = Timestamp::now().unix_ms() * 1_000_000;
        let since_ns = self.last.unwrap_or(now_ns) - OVERLAP_MS * 1_000_000;
        let since = format!(
            "{}.{:09}",
            since_ns / 1_000_000_000,
            since_ns % 1_000_000_000
        );
        let filters = HashMap::from([("type", vec!["container"]), ("event", ACTIONS.to_vec())]);
        let options = EventsOptionsBuilder::new()
            .since(&since)
            .filters(&filters)
            .build();
        let mut events = std::pin::pin!(client.events(Some(options)));
        let mut connection = self.engine.connection();
        let reconnected = self.lost_at.is_some();
        let settle = if reconnected {
            REPLAY_SETTLES
        } else {
            Duration::ZERO
        };
        let mut resync = interval_at(Instant::now() + settle, RESYNC_EVERY);
        resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unproven = self
            .lost_at
            .take()
            .map(|_| Instant::now() + REPLAY_PATIENCE);
        loop {
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(Ok(event)) => self.take(event, &mut unproven).await,
                    Some(Err(error)) => {
                        tracing::debug!(%error, "the engine's events broke off");
                        return;
                    }
                    None => return,
                },
                () = sleep_until(unproven) => self.declare_gap(&mut unproven).await,
                _ = resync.tick() => {
                    self.dropped = false;
                    self.tell(Observation::Resync).await;
                }
                changed = connection.changed() => {
                    let lost = connection.borrow_and_update().state != EngineState::Connected;
                    if lost || changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn take(&mut self, event: EventMessage, unproven: &mut Option<Instant>) {
        let Some((hint, time_ns)) = hint_of(event) else {
            return;
        };
        let key = (time_ns, hint.action.clone(), hint.id.clone());
        if !self.seen.is_new(key) {
            // The newest event of before is repeated: nothing was lost.
            if self.last == Some(time_ns) {
                *unproven = None;
            }
            return;
        }
        if unproven.is_some() && self.last.is_some_and(|last| time_ns > last) {
            self.declare_gap(unproven).await;
        }
        self.last = Some(self.last.map_or(time_ns, |last| last.max(time_ns)));
        if self.out.try_send(Observation::Hint(hint)).is_err() && !self.dropped {
            self.dropped = true;
            let now = Timestamp::now();
            let reason = "more happened at once than could be looked at";
            self.tell(Observation::Gap {
                from: now,
                to: now,
                reason,
            })
            .await;
            self.tell(Observation::Resync).await;
        }
    }

    async fn declare_gap(&mut self, unproven: &mut Option<Instant>) {
        *unproven = None;
        let to = Timestamp::now();
        let from = self
            .last
            .map_or(to, |last| Timestamp::from_unix_ms(last / 1_000_000));
        let reason = "the engine was restarted, or does not remember its events that far back";
        self.tell(Observation::Gap { from, to, reason }).await;
    }

    /// Waits for room: for what must not be lost.
    async fn tell(&self, observation: Observation) {
        // Closed only when the server ends.
        let _ = self.out.send(observation).await;
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn hint_of(event: EventMessage) -> Option<(Hint, i64)> {
    let actor = event.actor?;
    let attributes = actor.attributes.unwrap_or_default();
    let action = event.action?;
    // `health_status: healthy` carries its value in the action.
    let action = action
        .split(':')
        .next()
        .unwrap_or(&action)
        .trim()
        .to_owned();
    let time_ns = event.time_nano?;
    let hint = Hint {
        id: actor.id?,
        action,
        time: Timestamp::from_unix_ms(time_ns / 1_000_000),
        exit_code: attributes
            .get("exitCode")
            .and_then(|code| code.parse().ok()),
        signal: attributes.get("signal").cloned(),
    };
    Some((hint, time_ns))
}
