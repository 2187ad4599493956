use std::{collections::HashMap, time::Duration};

use bollard::{models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineState, Hint, seen::Seen};
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
    /// Compare everything with the engine now. What happens from then on, by its clock,
    /// is told by hints that follow.
    Resync {
        asked: Timestamp,
    },
    /// In this time something may have happened that nobody told us.
    Gap {
        from: Timestamp,
        to: Timestamp,
        reason: &'static str,
    },
}

/// Reads the engine's events until cancelled. Only decodes and pushes: when
/// `out` is full, hints are dropped, and made good by a gap and a resync once there is
/// room again.
pub async fn watch(engine: &Engine, out: mpsc::Sender<Observation>, token: CancellationToken) {
    let mut watcher = Watcher {
        engine,
        out,
        seen: Seen::default(),
        last: None,
        lost_at: None,
        dropped_since: None,
    };
    token.run_until_cancelled(watcher.run()).await;
}

struct Watcher<'e> {
    engine: &'e Engine,
    out: mpsc::Sender<Observation>,
    seen: Seen,
    /// Time of the newest event, by the engine's clock, in nanoseconds.
    last: Option<i64>,
    /// As long as it is not known whether something was missed since.
    lost_at: Option<Timestamp>,
    /// Since when hints had to be dropped.
    dropped_since: Option<Timestamp>,
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
            self.lost_at.get_or_insert_with(Timestamp::now);
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
        let now_ns = self.engine.now().unix_ms() * 1_000_000;
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
        let settle = match self.lost_at {
            Some(_) => REPLAY_SETTLES,
            None => Duration::ZERO,
        };
        let mut resync = interval_at(Instant::now() + settle, RESYNC_EVERY);
        resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unproven = self.lost_at.map(|_| Instant::now() + REPLAY_PATIENCE);
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
                () = half_empty(&self.out), if self.dropped_since.is_some() => {
                    self.declare_drops().await;
                }
                _ = resync.tick() => self.ask_for_resync().await,
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
        let Some((hint, time_ns)) = Hint::of(event) else {
            return;
        };
        let key = (time_ns, hint.action.clone(), hint.id.clone());
        if !self.seen.is_new(key) {
            // The newest event of before is repeated: nothing was lost.
            if self.last == Some(time_ns) {
                (*unproven, self.lost_at) = (None, None);
            }
            return;
        }
        if unproven.is_some() && self.last.is_some_and(|last| time_ns > last) {
            self.declare_gap(unproven).await;
        }
        self.last = Some(self.last.map_or(time_ns, |last| last.max(time_ns)));
        if self.out.try_send(Observation::Hint(hint)).is_err() {
            self.dropped_since.get_or_insert_with(Timestamp::now);
        }
    }

    /// The queue has been full, and no hint is dropped right now.
    async fn declare_drops(&mut self) {
        let to = Timestamp::now();
        let from = self.dropped_since.take().unwrap_or(to);
        let reason = "more happened at once than could be looked at";
        self.tell(Observation::Gap { from, to, reason }).await;
        self.ask_for_resync().await;
    }

    async fn ask_for_resync(&self) {
        let asked = self.engine.now();
        self.tell(Observation::Resync { asked }).await;
    }

    async fn declare_gap(&mut self, unproven: &mut Option<Instant>) {
        *unproven = None;
        let to = Timestamp::now();
        let from = self.lost_at.take().unwrap_or(to);
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

/// Returns once much of the queue can be used again.
async fn half_empty(out: &mpsc::Sender<Observation>) {
    // Closed only when the server ends.
    let _ = out.reserve_many(out.max_capacity() / 2).await;
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::{Engine, EventMessage, Observation, Seen, Timestamp, Watcher, half_empty, mpsc};

    fn event(number: i64) -> EventMessage {
        EventMessage {
            action: Some("start".into()),
            actor: Some(EventActor {
                id: Some(format!("c{number}")),
                attributes: None,
            }),
            time_nano: Some(number),
            ..EventMessage::default()
        }
    }

    fn watcher(engine: &Engine, out: mpsc::Sender<Observation>) -> Watcher<'_> {
        Watcher {
            engine,
            out,
            seen: Seen::default(),
            last: None,
            lost_at: None,
            dropped_since: None,
        }
    }

    #[tokio::test]
    async fn a_loss_of_the_connection_is_a_gap_since_the_loss_and_not_since_the_last_event() {
        let engine = Engine::new("unix:///nonexistent/docker.sock");
        let (out, mut observations) = mpsc::channel(4);
        let mut watcher = watcher(&engine, out);
        let lost = Timestamp::from_unix_ms(86_400_000);
        (watcher.last, watcher.lost_at) = (Some(1), Some(lost));
        watcher.declare_gap(&mut None).await;
        let gap = observations.recv().await;
        assert!(
            matches!(gap, Some(Observation::Gap { from, .. }) if from == lost),
            "{gap:?}"
        );
    }

    #[tokio::test]
    async fn a_storm_is_one_gap_from_the_first_hint_that_was_dropped_to_the_last() {
        let engine = Engine::new("unix:///nonexistent/docker.sock");
        let (out, mut observations) = mpsc::channel(4);
        let mut watcher = watcher(&engine, out.clone());
        for number in 1..=4 {
            watcher.take(event(number), &mut None).await;
        }
        let first = Timestamp::now();
        watcher.take(event(5), &mut None).await;
        let last = loop {
            let now = Timestamp::now();
            if watcher.dropped_since < Some(now) {
                break now;
            }
        };
        watcher.take(event(6), &mut None).await;
        for _ in 0..4 {
            let observation = observations.recv().await;
            assert!(matches!(observation, Some(Observation::Hint(_))));
        }
        half_empty(&out).await;
        watcher.declare_drops().await;
        let Some(Observation::Gap { from, to, .. }) = observations.recv().await else {
            panic!("no gap");
        };
        assert!(first <= from && from < last && last <= to, "{from} {to}");
        let resync = observations.recv().await;
        assert!(matches!(resync, Some(Observation::Resync { .. })));
        assert!(watcher.dropped_since.is_none() && observations.is_empty());
    }
}
