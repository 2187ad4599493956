//! From a created candidate to the one that serves, in the two strategies.

use std::time::Duration;

use super::{error::Stop, gate, run::Run};
use crate::{
    engine::{Engine, EngineError},
    instances::Planned,
    model::{InstanceStatus, Plan, RestartPolicy, StepName},
};

/// How long an old instance may take to run again.
const RESTORE_WITHIN: Duration = Duration::from_secs(30);

/// Up and good first, then the old one goes. A failure before that leaves the
/// old one untouched.
pub(super) async fn start_first(run: &Run, plan: &Plan, candidate: &str) -> Result<(), Stop> {
    let up = async {
        run.interruptible(StepName::Start, start(run, candidate))
            .await?;
        run.interruptible(StepName::Gate, gated(run, candidate))
            .await
    };
    if let Err(stop) = up.await {
        put_away(run, candidate).await;
        return Err(stop);
    }
    let replace = async {
        commit(run, candidate).await?;
        if let Some(old) = &plan.replaces {
            stop_old(run, old, StepName::Replace).await?;
        }
        Ok((
            (),
            plan.replaces
                .as_ref()
                .map(|_| "the old instance is stopped".to_owned()),
        ))
    };
    run.step(StepName::Replace, replace).await?;
    run.step(StepName::Retire, retire(run, candidate)).await
}

/// The old one holds a port, so it goes first; if the new one is not good, the
/// old one is started again.
pub(super) async fn stop_first(run: &Run, plan: &Plan, candidate: &str) -> Result<(), Stop> {
    let switched = async {
        let stop = async {
            match &plan.replaces {
                Some(old) => {
                    stop_old(run, old, StepName::Replace).await?;
                    Ok((
                        (),
                        Some("the old instance is stopped; nobody serves now".to_owned()),
                    ))
                }
                None => Ok(((), Some("nothing to stop".to_owned()))),
            }
        };
        run.step(StepName::Replace, stop).await?;
        run.interruptible(StepName::Start, start(run, candidate))
            .await?;
        run.interruptible(StepName::Gate, gated(run, candidate))
            .await
    };
    if let Err(stop) = switched.await {
        put_away(run, candidate).await;
        let Some(old) = &plan.replaces else {
            return Err(stop);
        };
        let restored = run.step(StepName::Restore, restore(run, old)).await;
        return Err(match restored {
            Ok(()) => stop,
            Err(worse) => stop.with(worse),
        });
    }
    commit(run, candidate).await?;
    run.step(StepName::Retire, retire(run, candidate)).await
}

async fn start(run: &Run, candidate: &str) -> Result<((), Option<String>), Stop> {
    match run.tools.engine.start(candidate).await {
        Ok(()) => Ok(((), None)),
        Err(error) => Err(Stop::failed(StepName::Start, error.to_string())),
    }
}

async fn gated(run: &Run, candidate: &str) -> Result<((), Option<String>), Stop> {
    let engine = &run.tools.engine;
    let message = gate::run(engine, &run.journal, &run.spec.health, candidate).await?;
    Ok(((), Some(message)))
}

/// From here on the candidate is the one that serves: it comes back after a
/// reboot, and the lane names it.
async fn commit(run: &Run, candidate: &str) -> Result<(), Stop> {
    let engine = &run.tools.engine;
    let promoted = engine.set_restart_policy(candidate, run.spec.restart).await;
    promoted.map_err(|error| Stop::failed(StepName::Replace, error.to_string()))?;
    let (lane, generation) = (run.deploy.lane.clone(), run.deploy.generation);
    let (spec, candidate) = (run.deploy.spec.clone(), candidate.to_owned());
    let store = &run.tools.store;
    store
        .write(move |tx| {
            // An image that was given for this deploy is the lane's from now on.
            if let Some(row) = tx.lane(&lane)? {
                tx.put_lane(&lane, &row.spec.with_image(spec.image().to_owned()))?;
            }
            tx.set_serving(&lane, generation, &candidate)
        })
        .await?;
    Ok(())
}

/// Its restart policy goes first: a reboot must not start the wrong one.
async fn stop_old(run: &Run, old: &str, step: StepName) -> Result<(), Stop> {
    let engine = &run.tools.engine;
    run.tools.planned.begin(old);
    let stopped = async {
        engine.set_restart_policy(old, RestartPolicy::No).await?;
        engine.stop(old, run.grace()).await
    };
    let stopped = stopped.await;
    run.tools.planned.end(old);
    match stopped {
        Ok(()) | Err(EngineError::NotFound { .. }) => Ok(()),
        Err(error) => Err(Stop::failed(
            step,
            format!("the old instance does not stop: {error}"),
        )),
    }
}

/// A failed candidate is kept, stopped, so that it can be looked at.
async fn put_away(run: &Run, candidate: &str) {
    if let Err(error) = run.tools.engine.stop(candidate, run.grace()).await
        && !error.is_not_found()
    {
        tracing::warn!(%error, candidate, "a failed candidate could not be stopped");
    }
    remove_others(run, candidate).await;
}

async fn restore(run: &Run, old: &str) -> Result<((), Option<String>), Stop> {
    let Run { tools, spec, .. } = run;
    let restored = bring_back(&tools.engine, &tools.planned, old, spec.restart).await;
    match restored {
        Ok(()) => Ok(((), Some("the old instance runs again".to_owned()))),
        Err(reason) => Err(Stop::failed(
            StepName::Restore,
            format!("nobody serves: the old instance did not come back ({reason})"),
        )),
    }
}

/// Starts an instance that was stopped for another, and sees that it runs.
pub(super) async fn bring_back(
    engine: &Engine,
    planned: &Planned,
    old: &str,
    restart: RestartPolicy,
) -> Result<(), String> {
    planned.begin(old);
    let running = async {
        engine.start(old).await.map_err(|error| error.to_string())?;
        loop {
            let found = engine
                .inspect(old)
                .await
                .map_err(|error| error.to_string())?;
            match found.instance.status {
                InstanceStatus::Running => break,
                InstanceStatus::Exited | InstanceStatus::Dead => {
                    return Err(format!("it ended with code {:?}", found.instance.exit_code));
                }
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        engine
            .set_restart_policy(old, restart)
            .await
            .map_err(|error| error.to_string())
    };
    let outcome = tokio::time::timeout(RESTORE_WITHIN, running).await;
    planned.end(old);
    outcome.unwrap_or_else(|_| Err("it took too long".to_owned()))
}

/// What served before stays, stopped; older ones of this lane go.
async fn retire(run: &Run, candidate: &str) -> Result<((), Option<String>), Stop> {
    let removed = remove_others(run, candidate).await;
    let message = match removed {
        0 => None,
        1 => Some("removed the instance before the last".to_owned()),
        _ => Some(format!("removed {removed} older instances")),
    };
    Ok(((), message))
}

/// Removes stopped instances of the lane but the newest besides `keep`. What
/// cannot be removed now is tried again by the next deploy.
async fn remove_others(run: &Run, keep: &str) -> usize {
    let lane = run.deploy.lane.clone();
    let lanes = run.tools.store.read(move |reader| {
        let serving = reader.lane(&lane)?.and_then(|row| row.instance);
        Ok((serving, reader.instances_of(&lane)?))
    });
    let Ok((serving, instances)) = lanes.await else {
        return 0;
    };
    let stopped = instances.into_iter().filter(|instance| {
        instance.id != keep
            && serving.as_ref() != Some(&instance.id)
            && instance.status != InstanceStatus::Running
    });
    let mut removed = 0;
    for instance in stopped.skip(1) {
        run.tools.planned.begin(&instance.id);
        match run.tools.engine.remove(&instance.id).await {
            Ok(()) => removed += 1,
            Err(error) => tracing::debug!(%error, name = instance.name, "kept for now"),
        }
        run.tools.planned.end(&instance.id);
    }
    removed
}
