//! Back to the old instance: before the switch by starting it again, after it by
//! reversing the switch. Nothing is pulled or made.

use std::time::Duration;

use super::{error::Stop, run::Run, switch};
use crate::{
    engine::{Engine, EngineError},
    model::{
        DeployStatus, Failure, InstanceStatus, Plan, RestartPolicy, StepName, StepStatus, Strategy,
    },
};

/// How long an old instance may take to run again, with an engine that answers.
const RUNS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The candidate did not come to serve: whoever was stopped for it is started again.
pub(super) async fn restore(run: &Run, plan: &Plan, why: Stop) -> Stop {
    let Some(old) = &plan.replaces else {
        return why;
    };
    let restored = async {
        let failed = |reason| Stop::failed(StepName::Restore, reason);
        run.let_go_of_candidate(plan).await?;
        bring_back(run, old, StepName::Restore).await?;
        run.lead_back(plan).await.map_err(failed)?;
        Ok(((), Some("the old instance runs again".to_owned())))
    };
    match run.step(StepName::Restore, restored).await {
        Ok(()) => why,
        Err(worse) => why.with(worse),
    }
}

/// The candidate serves, and does not last: the old one takes over again.
pub(super) async fn reverse(run: &Run, plan: &Plan, candidate: &str, why: Stop) -> Stop {
    let failure = match why {
        Stop::Failed(failure) => failure,
        Stop::Cancelled => {
            let reason = run.journal.why_cancelled().await;
            let reason = reason.unwrap_or_else(|_| "cancelled".to_owned());
            match Stop::failed(StepName::Bake, reason) {
                Stop::Failed(failure) => failure,
                other => return other,
            }
        }
        other => return other,
    };
    let Some(old) = &plan.replaces else {
        return give_up(run, plan, candidate, *failure).await;
    };
    let reversing = async {
        let generation = switch_back(run, plan, old, candidate).await?;
        Ok(((), Some(format!("generation {generation} serves again"))))
    };
    match run.step(StepName::Rollback, reversing).await {
        Ok(()) => {
            let reason = format!("{}; the old instance serves again", failure.reason);
            Stop::RolledBack(Box::new(Failure { reason, ..*failure }))
        }
        Err(worse) => Stop::Failed(failure).with(worse),
    }
}

/// There is nobody to go back to: what leads to it leads nowhere, and is free for others.
async fn give_up(run: &Run, plan: &Plan, candidate: &str, failure: Failure) -> Stop {
    let lane = run.deploy.lane.clone();
    let cleared = run.tools.store.write(move |tx| tx.clear_serving(&lane));
    if let Err(error) = cleared.await {
        return error.into();
    }
    let released = run.lead_to_serving(plan).await;
    switch::stop_for_certain(run, candidate).await;
    let reason = format!(
        "{}; there is no older instance to go back to",
        failure.reason
    );
    let stop = Stop::Failed(Box::new(Failure { reason, ..failure }));
    match released {
        Ok(()) => stop,
        Err(reason) => stop.with(Stop::failed(StepName::Rollback, reason)),
    }
}

/// Why an earlier life of this deploy turned back, as its steps say; none if it did not.
pub(super) async fn why_turned_back(run: &Run) -> Result<Option<Stop>, Stop> {
    let id = run.deploy.id;
    let deploy = run
        .tools
        .store
        .read(move |reader| reader.deploy(id))
        .await?;
    let mut steps = deploy.into_iter().flat_map(|deploy| deploy.steps);
    let failed = steps.find(|step| step.status == StepStatus::Failed);
    Ok(match (failed, run.deploy.status) {
        (Some(step), _) if step.message.as_deref() == Some("cancelled") => Some(Stop::Cancelled),
        (Some(step), _) => Some(Stop::failed(step.name, step.message.unwrap_or_default())),
        (None, DeployStatus::Restoring | DeployStatus::RollingBack) => {
            Some(Stop::failed(StepName::Replace, "the server was stopped"))
        }
        (None, _) => None,
    })
}

/// Which generation serves then.
async fn switch_back(run: &Run, plan: &Plan, old: &str, candidate: &str) -> Result<i64, Stop> {
    let failed = |reason| Stop::failed(StepName::Rollback, reason);
    // An earlier life of the server may have led back already.
    if run.serves(candidate).await? {
        run.let_go_of_candidate(plan).await?;
    }
    // It holds the port that the old one needs.
    if plan.strategy == Strategy::StopFirst {
        switch::stop_for_certain(run, candidate).await;
    }
    let generation = bring_back(run, old, StepName::Rollback).await?;
    run.until_old_listens(plan).await?;
    let (lane, instance) = (run.deploy.lane.clone(), old.to_owned());
    run.tools
        .store
        .write(move |tx| tx.set_serving(&lane, generation, &instance))
        .await?;
    // Where this fails, it is done as soon as it can be: the lane names the old one.
    let led = run.lead_back(plan).await;
    if led.is_ok() && plan.strategy == Strategy::PortHold {
        run.drain_candidate(plan).await?;
    }
    switch::stop_for_certain(run, candidate).await;
    led.map_err(failed)?;
    Ok(generation)
}

/// Starts an instance that was stopped for another, and sees that it runs; its
/// generation. An engine that is away is waited for: until it is back nobody serves,
/// whatever we do.
async fn bring_back(run: &Run, old: &str, step: StepName) -> Result<i64, Stop> {
    let (engine, planned) = (&run.tools.engine, &run.tools.planned);
    // It has been stopped; what it does from now on we have not asked for.
    planned.release(old);
    let _watching = planned.watches(old);
    let outcome = loop {
        engine.until_connected().await;
        let policy = own_restart_policy(run, old).await;
        let runs = start_again(engine, old, policy);
        match tokio::time::timeout(RUNS_WITHIN, runs).await {
            Ok(Err(Why::Engine(EngineError::Absent { .. }))) => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(outcome) => break outcome,
            Err(_) => break Err(Why::Ended("it took too long".to_owned())),
        }
    };
    if outcome.is_ok() {
        planned.release(old);
    }
    outcome.map_err(|why| {
        let reason = format!("nobody serves: the old instance did not come back ({why})");
        Stop::failed(step, reason)
    })
}

/// Its own, which need not be that of the specification that did not last.
async fn own_restart_policy(run: &Run, old: &str) -> RestartPolicy {
    let old = old.to_owned();
    let deployed = run.tools.store.read(move |reader| reader.deployed_as(&old));
    let deployed = deployed.await.ok().flatten();
    deployed.map_or(run.spec.restart, |deployed| deployed.spec.restart())
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Ended(String),
}

async fn start_again(engine: &Engine, old: &str, restart: RestartPolicy) -> Result<i64, Why> {
    engine.start(old).await?;
    loop {
        let found = engine.inspect(old).await?.instance;
        match found.status {
            InstanceStatus::Running => {
                engine.set_restart_policy(old, restart).await?;
                return Ok(found.generation.unwrap_or_default());
            }
            InstanceStatus::Exited | InstanceStatus::Dead => {
                let code = found.exit_code.unwrap_or_default();
                return Err(Why::Ended(format!("it ended with code {code}")));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
