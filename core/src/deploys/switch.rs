//! From a created candidate to the one that serves, in the three strategies. Each part
//! may run twice: a server that comes after one that was killed begins with the step
//! that it was in.

use std::time::Duration;

use super::{bake, error::Stop, gate, rollback, run::Run};
use crate::{
    engine::EngineError,
    model::{InstanceStatus, Plan, RestartPolicy, StepName, Strategy, Timestamp},
};

/// Until an engine that went away has been noticed.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Up and good first, then the old one goes. A failure before that leaves the
/// old one untouched.
pub(super) async fn start_first(run: &Run, plan: &Plan, candidate: &str) -> Result<(), Stop> {
    let switched = async {
        up(run, plan, candidate).await?;
        if !run.has_done(plan, StepName::Replace) {
            let replaced = run.step(StepName::Replace, replace(run, plan, candidate));
            replaced.await?;
        }
        Ok(())
    };
    match switched.await {
        Ok(()) => last(run, plan, candidate).await,
        Err(stop) => Err(turn_back(run, plan, candidate, stop).await),
    }
}

/// Up and good first, then the held ports lead to it; the old one goes when nobody
/// talks to it any more.
pub(super) async fn port_hold(run: &Run, plan: &Plan, candidate: &str) -> Result<(), Stop> {
    let switched = async {
        up(run, plan, candidate).await?;
        if !run.has_done(plan, StepName::Replace) {
            let led = run.step(StepName::Replace, lead(run, plan, candidate));
            led.await?;
        }
        if let Some(old) = &plan.replaces
            && !run.has_done(plan, StepName::Drain)
        {
            run.step(StepName::Drain, drain(run, plan, candidate, old))
                .await?;
        }
        Ok(())
    };
    match switched.await {
        Ok(()) => last(run, plan, candidate).await,
        Err(stop) => Err(turn_back(run, plan, candidate, stop).await),
    }
}

/// The old one holds a port, so it goes first; if the new one is not good, the
/// old one is started again.
pub(super) async fn stop_first(run: &Run, plan: &Plan, candidate: &str) -> Result<(), Stop> {
    let switched = async {
        if !run.has_done(plan, StepName::Replace) {
            run.step(StepName::Replace, make_room(run, plan)).await?;
        }
        up(run, plan, candidate).await?;
        commit(run, plan, candidate).await
    };
    match switched.await {
        Ok(()) => last(run, plan, candidate).await,
        Err(stop) => Err(turn_back(run, plan, candidate, stop).await),
    }
}

/// Runs, and is good.
async fn up(run: &Run, plan: &Plan, candidate: &str) -> Result<(), Stop> {
    if !run.has_done(plan, StepName::Start) {
        run.interruptible(StepName::Start, start(run, candidate))
            .await?;
    }
    if !run.has_done(plan, StepName::Gate) {
        run.interruptible(StepName::Gate, gated(run, candidate))
            .await?;
    }
    Ok(())
}

/// It serves: it must last, then what is older goes.
async fn last(run: &Run, plan: &Plan, candidate: &str) -> Result<(), Stop> {
    if run.spec.bake_ms > 0 && !run.has_done(plan, StepName::Bake) {
        let baked = async { Ok(((), Some(bake::run(run, candidate).await?))) };
        if let Err(stop) = run.interruptible(StepName::Bake, baked).await {
            return Err(rollback::reverse(run, plan, candidate, stop).await);
        }
    }
    // Nobody watches it from here on.
    run.tools.planned.release(candidate);
    run.step(StepName::Retire, retire(run, plan, candidate))
        .await
}

async fn start(run: &Run, candidate: &str) -> Result<((), Option<String>), Stop> {
    match run.tools.engine.start(candidate).await {
        Ok(()) => Ok(((), None)),
        Err(error) => Err(Stop::failed(StepName::Start, error.to_string())),
    }
}

async fn gated(run: &Run, candidate: &str) -> Result<((), Option<String>), Stop> {
    let began = run.step_began(StepName::Gate).await?;
    let message = gate::run(run, candidate, began).await?;
    Ok(((), Some(message)))
}

async fn replace(run: &Run, plan: &Plan, candidate: &str) -> Result<((), Option<String>), Stop> {
    still_runs(run, candidate, StepName::Replace).await?;
    commit(run, plan, candidate).await?;
    let Some(old) = &plan.replaces else {
        return Ok(((), None));
    };
    stop_old(run, old, StepName::Replace).await?;
    Ok(((), Some("the old instance is stopped".to_owned())))
}

async fn lead(run: &Run, plan: &Plan, candidate: &str) -> Result<((), Option<String>), Stop> {
    still_runs(run, candidate, StepName::Replace).await?;
    let failed = |reason| Stop::failed(StepName::Replace, reason);
    tokio::select! {
        stop = bake::until_broken(run, candidate, StepName::Replace) => return Err(stop),
        reached = run.until_reached(plan) => reached.map_err(failed)?,
    }
    commit(run, plan, candidate).await?;
    if let Some(old) = &plan.replaces {
        // A reboot while it is drained must not start the wrong one.
        run.demote(old).await.map_err(failed)?;
    }
    let confirmed = run.confirm(plan).await;
    confirmed.map_err(|reason| {
        let reason = format!("the new instance is not reached from outside: {reason}");
        failed(reason)
    })?;
    Ok(((), Some("the ports lead to the new instance".to_owned())))
}

async fn drain(
    run: &Run,
    plan: &Plan,
    candidate: &str,
    old: &str,
) -> Result<((), Option<String>), Stop> {
    run.tools.engine.until_connected().await;
    still_runs(run, candidate, StepName::Drain).await?;
    let began = run.step_began(StepName::Drain).await?;
    let spent = Timestamp::now().ms_since(began);
    let left = Duration::from_millis(run.spec.drain_ms.saturating_sub(spent));
    // A stop that has begun is not given up: it would go on behind our back.
    let message = tokio::select! {
        biased;
        () = run.cancel.cancelled() => return Err(Stop::Cancelled),
        stop = bake::until_broken(run, candidate, StepName::Drain) => return Err(stop),
        message = run.drain_old(plan, left) => message?,
    };
    run.tools.engine.until_connected().await;
    still_runs(run, candidate, StepName::Drain).await?;
    if run.spec.bake_ms == 0 {
        run.tools.planned.release(candidate);
    }
    stop_old(run, old, StepName::Drain).await?;
    Ok(((), Some(message)))
}

async fn make_room(run: &Run, plan: &Plan) -> Result<((), Option<String>), Stop> {
    let message = match &plan.replaces {
        Some(old) => {
            let released = run.let_go_of_old(plan).await;
            released.map_err(|reason| Stop::failed(StepName::Replace, reason))?;
            stop_old(run, old, StepName::Replace).await?;
            "the old instance is stopped; nobody serves now"
        }
        None => "nothing to stop",
    };
    Ok(((), Some(message.to_owned())))
}

/// It passed its gate, perhaps long ago: the server may have been stopped since.
async fn still_runs(run: &Run, candidate: &str, step: StepName) -> Result<(), Stop> {
    let failed = |reason: String| Stop::failed(step, reason);
    let found = run.tools.engine.inspect(candidate).await;
    let found = found.map_err(|error| failed(error.to_string()))?;
    if found.instance.status == InstanceStatus::Running {
        return Ok(());
    }
    Err(failed(format!(
        "the new instance `{}` does not run any more",
        found.instance.name
    )))
}

/// It did not work out: how far back is decided by whom the lane names.
pub(super) async fn turn_back(run: &Run, plan: &Plan, candidate: &str, stop: Stop) -> Stop {
    // Nothing can be written: whoever takes it up finds everything as it is.
    if matches!(stop, Stop::Store(_) | Stop::Ended) {
        return stop;
    }
    match run.serves(candidate).await {
        Ok(true) => rollback::reverse(run, plan, candidate, stop).await,
        Ok(false) => {
            if plan.strategy == Strategy::StopFirst {
                put_away(run, plan, candidate).await;
                return rollback::restore(run, plan, stop).await;
            }
            let led = run.lead_to_serving(plan).await;
            put_away(run, plan, candidate).await;
            match led {
                Ok(()) => stop,
                Err(reason) => stop.with(Stop::failed(StepName::Replace, reason)),
            }
        }
        Err(error) => error.into(),
    }
}

/// From here on the candidate is the one that serves: it comes back after a
/// reboot, held ports lead to it, and the lane names it.
async fn commit(run: &Run, plan: &Plan, candidate: &str) -> Result<(), Stop> {
    let engine = &run.tools.engine;
    let promoted = engine.set_restart_policy(candidate, run.spec.restart).await;
    promoted.map_err(|error| Stop::failed(StepName::Replace, error.to_string()))?;
    let led = run.lead_to_candidate(plan).await;
    led.map_err(|reason| Stop::failed(StepName::Replace, reason))?;
    let (lane, generation) = (run.deploy.lane.clone(), run.deploy.generation);
    let serving = candidate.to_owned();
    run.tools
        .store
        .write(move |tx| tx.set_serving(&lane, generation, &serving))
        .await?;
    let is_drained = plan.strategy == Strategy::PortHold && plan.replaces.is_some();
    if run.spec.bake_ms == 0 && !is_drained {
        run.tools.planned.release(candidate);
    }
    Ok(())
}

async fn stop_old(run: &Run, old: &str, step: StepName) -> Result<(), Stop> {
    stop(run, old).await.map_err(|error| {
        let reason = format!("the old instance does not stop: {error}");
        Stop::failed(step, reason)
    })
}

/// Its restart policy goes first: a reboot must not start the wrong one.
pub(super) async fn stop(run: &Run, id: &str) -> Result<(), EngineError> {
    let engine = &run.tools.engine;
    let _stopping = run.tools.planned.stops(id);
    let stopped = async {
        engine.set_restart_policy(id, RestartPolicy::No).await?;
        engine.stop(id, run.grace()).await
    };
    match stopped.await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// An engine that is away is waited for: two would run, or hold the other's port.
pub(super) async fn stop_for_certain(run: &Run, id: &str) {
    loop {
        run.tools.engine.until_connected().await;
        match stop(run, id).await {
            Err(EngineError::Absent { .. }) => tokio::time::sleep(AGAIN_AFTER).await,
            Err(error) => return tracing::warn!(%error, id, "an instance could not be stopped"),
            Ok(()) => return,
        }
    }
}

/// A failed candidate is kept, stopped, so that it can be looked at.
async fn put_away(run: &Run, plan: &Plan, candidate: &str) {
    stop_for_certain(run, candidate).await;
    remove_others(run, plan, candidate).await;
}

/// What served before stays, stopped; older ones of this lane go.
async fn retire(run: &Run, plan: &Plan, candidate: &str) -> Result<((), Option<String>), Stop> {
    let removed = remove_others(run, plan, candidate).await;
    let message = match removed {
        0 => None,
        1 => Some("removed the instance before the last".to_owned()),
        _ => Some(format!("removed {removed} older instances")),
    };
    Ok(((), message))
}

/// Removes stopped instances of the lane but the newest besides `keep` and what served
/// before. That one stays stopped, also if it was a hand and not a deploy that stopped it.
/// What cannot be removed now is tried again by the next deploy.
async fn remove_others(run: &Run, plan: &Plan, keep: &str) -> usize {
    let lane = run.deploy.lane.clone();
    let lanes = run.tools.store.read(move |reader| {
        let serving = reader.lane(&lane)?.and_then(|row| row.instance);
        Ok((serving, reader.instances_of(&lane)?))
    });
    let Ok((serving, instances)) = lanes.await else {
        return 0;
    };
    let mut stopped = instances.into_iter().filter(|instance| {
        instance.id != keep
            && plan.replaces.as_ref() != Some(&instance.id)
            && serving.as_ref() != Some(&instance.id)
            && instance.status != InstanceStatus::Running
    });
    if let Some(kept) = stopped.next()
        && let Err(error) = stop(run, &kept.id).await
    {
        tracing::debug!(%error, name = kept.name, "keeps its restart policy for now");
    }
    let mut removed = 0;
    for instance in stopped {
        let _removing = run.tools.planned.stops(&instance.id);
        match run.tools.engine.remove(&instance.id).await {
            Ok(()) => removed += 1,
            Err(error) => tracing::debug!(%error, name = instance.name, "kept for now"),
        }
    }
    removed
}
