use std::time::Duration;

use super::{error::Stop, probe, run::Run};
use crate::{
    engine::{Engine, EngineError, Inspection},
    model::{Failure, Health, HealthSpec, InstanceStatus, StepName, Timestamp},
};

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Probes must pass so often in a row.
const PASSES: u32 = 3;
/// When nothing else is asked for.
const MIN_UPTIME_MS: u64 = 10_000;
const TIMEOUT_MS: u64 = 120_000;
const SLACK_MS: u64 = 15_000;
/// The engine may fail to answer for so long before the gate gives up.
const ENGINE_PATIENCE_MS: u64 = 30_000;
const TAIL_LINES: usize = 30;

/// What one look at the candidate showed.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// Since the gate began.
    pub(super) elapsed_ms: u64,
    pub(super) status: InstanceStatus,
    pub(super) exit_code: Option<i64>,
    pub(super) oom: bool,
    pub(super) restarts: i64,
    pub(super) started_at: Option<Timestamp>,
    pub(super) health: Health,
    /// `None` when no probe is configured.
    pub(super) probe: Option<Result<(), String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    Pass,
    Fail(String),
}

/// Decides when a candidate is good. Pure: it sees looks, and no clock.
#[derive(Debug)]
pub(super) struct Gate {
    min_uptime_ms: Option<u64>,
    timeout_ms: u64,
    passes: u32,
    first_start: Option<Timestamp>,
    first_restarts: Option<i64>,
}

impl Gate {
    pub(super) fn new(health: &HealthSpec) -> Self {
        let from_checks = health.docker.as_ref().map(|check| {
            let rounds = (check.interval_ms + check.timeout_ms) * u64::from(check.retries.max(1));
            check.start_period_ms + rounds + SLACK_MS
        });
        let min_uptime_ms = health.min_uptime_ms;
        let timeout_ms = health.timeout_ms.unwrap_or_else(|| {
            from_checks
                .unwrap_or(TIMEOUT_MS)
                .max(min_uptime_ms.unwrap_or(0) + SLACK_MS)
        });
        Self {
            min_uptime_ms,
            timeout_ms,
            passes: 0,
            first_start: None,
            first_restarts: None,
        }
    }

    pub(super) fn judge(&mut self, look: &Look) -> Verdict {
        if look.oom {
            return Verdict::Fail("ran out of memory and was killed".into());
        }
        if look.status != InstanceStatus::Running {
            let code = look
                .exit_code
                .map_or_else(String::new, |code| format!(" with code {code}"));
            return Verdict::Fail(format!("exited{code} instead of running on"));
        }
        let restarts = *self.first_restarts.get_or_insert(look.restarts);
        let started = *self
            .first_start
            .get_or_insert(look.started_at.unwrap_or_else(Timestamp::now));
        if look.restarts != restarts || look.started_at.is_some_and(|at| at != started) {
            return Verdict::Fail("restarted by itself instead of running on".into());
        }
        if look.health == Health::Unhealthy {
            return Verdict::Fail("is unhealthy".into());
        }
        self.passes = match &look.probe {
            Some(Ok(())) => self.passes + 1,
            Some(Err(_)) | None => 0,
        };
        match self.pending(look) {
            None => Verdict::Pass,
            Some(reason) if look.elapsed_ms >= self.timeout_ms => {
                Verdict::Fail(format!("{reason} after {} s", self.timeout_ms / 1000))
            }
            Some(_) => Verdict::Wait,
        }
    }

    /// What still has to come true; `None` when all is good.
    fn pending(&self, look: &Look) -> Option<String> {
        if look.health == Health::Starting {
            return Some("has a health check that still says starting".into());
        }
        if let Some(probe) = &look.probe
            && self.passes < PASSES
        {
            let why = probe
                .as_ref()
                .err()
                .map_or_else(String::new, |why| format!(": {why}"));
            return Some(format!(
                "did not pass its probe {PASSES} times in a row{why}"
            ));
        }
        let checked = look.health == Health::Healthy || look.probe.is_some();
        let uptime_ms = self
            .min_uptime_ms
            .unwrap_or(if checked { 0 } else { MIN_UPTIME_MS });
        (look.elapsed_ms < uptime_ms).then(|| format!("has not run for {uptime_ms} ms yet"))
    }
}

/// Watches a started candidate, since `began`, until it is good, or says why it is not.
pub(super) async fn run(run: &Run, candidate: &str, began: Timestamp) -> Result<String, Stop> {
    let line = "waiting until the new instance is good";
    run.journal.say(line).await?;
    let (engine, health) = (&run.tools.engine, &run.spec.health);
    let mut gate = Gate::new(health);
    let mut last_answer = Timestamp::now();
    // A server that was away for long still looks at it for a while.
    let most_ms = gate.timeout_ms.saturating_sub(SLACK_MS);
    let away_ms = last_answer.ms_since(began).min(most_ms);
    let resumed = last_answer;
    loop {
        let elapsed_ms = away_ms + Timestamp::now().ms_since(resumed);
        match engine.inspect(candidate).await {
            Ok(found) => {
                last_answer = Timestamp::now();
                let probe = probe::run(health, &found).await;
                match gate.judge(&look(&found, elapsed_ms, probe)) {
                    Verdict::Wait => {}
                    Verdict::Pass => return Ok(format!("good after {elapsed_ms} ms")),
                    Verdict::Fail(reason) => {
                        let failure = failure(engine, &found, StepName::Gate, reason).await;
                        return Err(Stop::Failed(Box::new(failure)));
                    }
                }
            }
            Err(EngineError::NotFound { .. }) => {
                let reason = "the new instance was removed by somebody";
                return Err(Stop::failed(StepName::Gate, reason));
            }
            Err(error) if Timestamp::now().ms_since(last_answer) > ENGINE_PATIENCE_MS => {
                return Err(Stop::failed(StepName::Gate, error.to_string()));
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What a person needs to find out why: code, health output, last lines.
pub(super) async fn failure(
    engine: &Engine,
    found: &Inspection,
    step: StepName,
    reason: String,
) -> Failure {
    let tail = engine.log_tail(&found.instance.id, TAIL_LINES).await;
    let said = found
        .health_output
        .as_deref()
        .and_then(|output| output.lines().find(|line| !line.trim().is_empty()))
        .map_or_else(String::new, |line| {
            format!(", its health check says: {}", line.trim())
        });
    Failure {
        step,
        reason: format!("the new instance `{}` {reason}{said}", found.instance.name),
        exit_code: found.instance.exit_code,
        oom: found.instance.oom_killed,
        health_output: found.health_output.clone(),
        log_tail: tail.unwrap_or_default(),
    }
}

fn look(found: &Inspection, elapsed_ms: u64, probe: Option<Result<(), String>>) -> Look {
    Look {
        elapsed_ms,
        status: found.instance.status,
        exit_code: found.instance.exit_code,
        oom: found.instance.oom_killed,
        restarts: found.instance.restart_count,
        started_at: found.instance.started_at,
        health: found.instance.health,
        probe,
    }
}

#[cfg(test)]
mod tests {
    use super::{Gate, Look, Verdict};
    use crate::model::{Health, HealthSpec, InstanceStatus, Timestamp};

    fn running(elapsed_ms: u64) -> Look {
        Look {
            elapsed_ms,
            status: InstanceStatus::Running,
            exit_code: None,
            oom: false,
            restarts: 0,
            started_at: Some(Timestamp::from_unix_ms(1)),
            health: Health::None,
            probe: None,
        }
    }

    #[test]
    fn without_any_check_it_must_run_for_ten_seconds() {
        let mut gate = Gate::new(&HealthSpec::default());
        assert_eq!(gate.judge(&running(9_900)), Verdict::Wait);
        assert_eq!(gate.judge(&running(10_000)), Verdict::Pass);
    }

    #[test]
    fn a_probe_must_pass_three_times_in_a_row() {
        let mut gate = Gate::new(&HealthSpec::default());
        let look = |probe| Look {
            probe: Some(probe),
            ..running(100)
        };
        for (probe, expected) in [
            (Ok(()), Verdict::Wait),
            (Ok(()), Verdict::Wait),
            (Err("refused".to_owned()), Verdict::Wait),
            (Ok(()), Verdict::Wait),
            (Ok(()), Verdict::Wait),
            (Ok(()), Verdict::Pass),
        ] {
            assert_eq!(gate.judge(&look(probe)), expected);
        }
    }

    #[test]
    fn starting_at_the_end_of_its_time_is_a_failure_of_its_own() {
        let health = HealthSpec {
            timeout_ms: Some(1_000),
            ..HealthSpec::default()
        };
        let mut gate = Gate::new(&health);
        let look = Look {
            health: Health::Starting,
            ..running(1_000)
        };
        let Verdict::Fail(reason) = gate.judge(&look) else {
            panic!("it must fail")
        };
        assert!(reason.contains("still says starting"), "{reason}");
    }

    #[test]
    fn an_end_a_restart_and_ill_health_are_told_apart() {
        let mut gate = Gate::new(&HealthSpec::default());
        gate.judge(&running(0));
        let ended = Look {
            status: InstanceStatus::Exited,
            exit_code: Some(3),
            ..running(100)
        };
        let restarted = Look {
            started_at: Some(Timestamp::from_unix_ms(2)),
            ..running(100)
        };
        let unhealthy = Look {
            health: Health::Unhealthy,
            ..running(100)
        };
        for (look, word) in [
            (ended, "code 3"),
            (restarted, "restarted"),
            (unhealthy, "unhealthy"),
        ] {
            let Verdict::Fail(reason) = gate.judge(&look) else {
                panic!("{word}: it must fail")
            };
            assert!(reason.contains(word), "{reason}");
        }
    }
}
