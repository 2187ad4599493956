//! Watches a new instance once it serves, while the old one is at hand.

use std::time::Duration;

use super::{error::Stop, gate, run::Run};
use crate::{
    engine::{EngineError, Inspection},
    model::{Health, InstanceStatus, StepName, Timestamp},
    store::StoreError,
};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So many restarts are a crash loop.
const RESTARTS_MAX: i64 = 3;
/// So is one after less than this.
const UPTIME_MIN_MS: u64 = 10_000;

/// Decides whether an instance lasts. Pure: it sees looks, and no clock.
#[derive(Debug, Default)]
struct Bake {
    started: Option<Timestamp>,
}

impl Bake {
    /// Whether it runs now; an error where it does not last.
    async fn look(&mut self, run: &Run, candidate: &str, step: StepName) -> Result<bool, Stop> {
        let engine = &run.tools.engine;
        match engine.inspect(candidate).await {
            Ok(found) => match self.judge(&found) {
                None => Ok(found.instance.status == InstanceStatus::Running),
                Some(reason) => {
                    let failure = gate::failure(engine, &found, step, reason).await;
                    Err(Stop::Failed(Box::new(failure)))
                }
            },
            Err(EngineError::NotFound { .. }) => {
                let reason = "the new instance was removed by somebody";
                Err(Stop::failed(step, reason))
            }
            // Nothing can be known, and nothing could be done.
            Err(_) => {
                engine.until_connected().await;
                Ok(false)
            }
        }
    }

    /// Why it does not last; none while nothing is wrong.
    fn judge(&mut self, found: &Inspection) -> Option<String> {
        let instance = &found.instance;
        if instance.oom_killed {
            return Some("ran out of memory and was killed".into());
        }
        // It had none when it came to serve.
        let restarts = instance.restart_count;
        if restarts >= RESTARTS_MAX {
            return Some(format!("is in a crash loop: it restarted {restarts} times"));
        }
        let before = self
            .started
            .replace(instance.started_at.unwrap_or_else(Timestamp::now));
        let uptime_ms = before
            .zip(instance.started_at)
            .map(|(from, to)| to.ms_since(from));
        if restarts > 0 && uptime_ms.is_some_and(|ms| (1..UPTIME_MIN_MS).contains(&ms)) {
            return Some("is in a crash loop: it restarted within seconds".into());
        }
        let code = instance
            .exit_code
            .map_or_else(String::new, |code| format!(" with code {code}"));
        match instance.status {
            InstanceStatus::Exited | InstanceStatus::Dead => {
                Some(format!("exited{code} once it was good"))
            }
            _ if instance.health == Health::Unhealthy => Some("became unhealthy".into()),
            _ => None,
        }
    }
}

/// Until its time is over; ends early where the next deploy of the lane waits.
pub(super) async fn run(run: &Run, candidate: &str) -> Result<String, Stop> {
    let began = run.step_began(StepName::Bake).await?;
    let mut bake = Bake::default();
    loop {
        let runs = bake.look(run, candidate, StepName::Bake).await?;
        let elapsed_ms = Timestamp::now().ms_since(began);
        if runs && elapsed_ms >= run.spec.bake_ms {
            return Ok(format!("good for {} s", elapsed_ms / 1_000));
        }
        if runs && next_waits(run).await? {
            return Ok(format!(
                "good for {} s; the next deploy waits",
                elapsed_ms / 1_000
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Why it does not last, in a step that is about something else; never, if it does.
pub(super) async fn until_broken(run: &Run, candidate: &str, step: StepName) -> Stop {
    let mut bake = Bake::default();
    loop {
        if let Err(stop) = bake.look(run, candidate, step).await {
            return stop;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn next_waits(run: &Run) -> Result<bool, StoreError> {
    let lane = run.deploy.lane.clone();
    let open = run
        .tools
        .store
        .read(move |reader| reader.open_deploys_of(&lane));
    Ok(open.await?.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::Bake;
    use crate::{
        engine::Inspection,
        model::{Health, Instance, InstanceStatus, Timestamp},
    };

    fn look(started_ms: i64, restarts: i64) -> Inspection {
        let instance = Instance {
            id: "c".into(),
            name: "shop-prod-2-0".into(),
            image: "shop:2".into(),
            managed: true,
            project: None,
            stage: None,
            deploy: None,
            generation: Some(2),
            status: InstanceStatus::Running,
            health: Health::None,
            exit_code: None,
            oom_killed: false,
            restart_count: restarts,
            crash_loop_since: None,
            created_at: Timestamp::from_unix_ms(0),
            started_at: Some(Timestamp::from_unix_ms(started_ms)),
            finished_at: None,
            ports: Vec::new(),
            labels: Default::default(),
            updated_at: Timestamp::from_unix_ms(0),
            stale: false,
        };
        Inspection {
            instance,
            addresses: Vec::new(),
            health_output: None,
        }
    }

    #[test]
    fn a_restart_within_seconds_is_a_crash_loop_and_a_late_one_is_not() {
        let mut bake = Bake::default();
        assert_eq!(bake.judge(&look(1_000, 0)), None);
        assert_eq!(bake.judge(&look(60_000, 1)), None);
        let reason = bake.judge(&look(62_000, 2)).expect("a reason");
        assert!(reason.contains("crash loop"), "{reason}");
    }

    #[test]
    fn three_restarts_are_a_crash_loop_however_far_apart() {
        let mut bake = Bake::default();
        for (started, restarts) in [(1_000, 0), (20_000, 1), (40_000, 2)] {
            assert_eq!(bake.judge(&look(started, restarts)), None);
        }
        assert!(bake.judge(&look(60_000, 3)).is_some());
    }

    #[test]
    fn an_end_and_ill_health_are_told() {
        let mut ended = look(1_000, 0);
        ended.instance.status = InstanceStatus::Exited;
        ended.instance.exit_code = Some(3);
        let reason = Bake::default().judge(&ended).expect("a reason");
        assert!(reason.contains("code 3"), "{reason}");
        let mut ill = look(1_000, 0);
        ill.instance.health = Health::Unhealthy;
        assert!(Bake::default().judge(&ill).is_some());
    }
}
