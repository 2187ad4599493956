//! Ends truthfully what a stop of the server interrupted.

use super::{
    error::Stop,
    run::{self, Run},
    service::Deploys,
    switch,
};
use crate::{
    engine::EngineError,
    model::{DeployStatus, InstanceStatus, StepName, StepStatus, Strategy},
    store::OpenDeploy,
};

/// Waits for the engine where something is to be ended; queued deploys wait.
pub(super) async fn run(deploys: &Deploys) {
    let open = match deploys
        .tools()
        .store
        .read(|reader| reader.open_deploys())
        .await
    {
        Ok(open) => open,
        Err(error) => {
            tracing::error!(%error, "interrupted deploys cannot be read");
            return;
        }
    };
    for deploy in open
        .into_iter()
        .filter(|deploy| deploy.status != DeployStatus::Queued)
    {
        deploys.tools().engine.until_connected().await;
        end(deploys, deploy).await;
    }
}

async fn end(deploys: &Deploys, deploy: OpenDeploy) {
    let id = deploy.id;
    let step = step_of(deploy.status);
    let cancel = deploys.begin(id);
    let outcome = match Run::prepare(deploys.tools().clone(), deploy, cancel) {
        Ok(run) => {
            let outcome = settle(&run, step).await;
            run::conclude(&run.journal, outcome).await
        }
        Err(refused) => {
            let (journal, stop) = *refused;
            run::conclude(&journal, Err(stop)).await
        }
    };
    if let Err(error) = outcome {
        tracing::error!(%error, deploy = %id, "an interrupted deploy could not be ended");
    }
    deploys.end(id);
}

/// Forward if the new instance serves already, back to the old one otherwise.
async fn settle(run: &Run, step: StepName) -> Result<(), Stop> {
    let lane = run.deploy.lane.clone();
    let serving = run
        .tools
        .store
        .read(move |reader| reader.lane(&lane))
        .await?;
    let serving = serving.and_then(|row| row.instance);
    let committed = serving.is_some() && serving == run.deploy.instance;
    if committed {
        let message = "ended after a restart of the server: the new instance serves";
        run.journal
            .end_step(
                step,
                StepStatus::Succeeded,
                Some(message.into()),
                |_| Ok(()),
            )
            .await?;
        stop_if_running(run, run.deploy.replaces.as_deref()).await;
        return Ok(());
    }
    let interrupted = format!(
        "the server stopped while this deploy was in step `{}`",
        step.as_str()
    );
    let message = Some("the server stopped here".to_owned());
    run.journal
        .end_step(step, StepStatus::Failed, message, |_| Ok(()))
        .await?;
    stop_if_running(run, run.deploy.instance.as_deref()).await;
    let stopped_first = run
        .deploy
        .plan
        .as_ref()
        .is_some_and(|plan| plan.strategy == Strategy::StopFirst);
    let Some(old) = run.deploy.replaces.as_deref().filter(|_| stopped_first) else {
        return Err(Stop::failed(step, interrupted));
    };
    match run.tools.engine.inspect(old).await {
        Ok(found) if found.instance.status == InstanceStatus::Running => {
            // Stopping it may have begun by taking its restart policy away.
            let policy = run.spec.restart;
            if let Err(error) = run.tools.engine.set_restart_policy(old, policy).await {
                tracing::warn!(%error, old, "the old instance keeps no restart policy");
            }
            Err(Stop::failed(
                step,
                format!("{interrupted}; the old instance serves"),
            ))
        }
        Ok(_) => {
            let (engine, planned) = (&run.tools.engine, &run.tools.planned);
            let reason = match switch::bring_back(engine, planned, old, run.spec.restart).await {
                Ok(()) => format!("{interrupted}; the old instance was started again"),
                Err(why) => {
                    format!("{interrupted}; nobody serves: the old one did not come back ({why})")
                }
            };
            Err(Stop::failed(step, reason))
        }
        Err(EngineError::NotFound { .. }) => Err(Stop::failed(
            step,
            format!("{interrupted}; the old instance is gone"),
        )),
        Err(error) => Err(Stop::failed(step, format!("{interrupted}; {error}"))),
    }
}

async fn stop_if_running(run: &Run, id: Option<&str>) {
    let Some(id) = id else { return };
    run.tools.planned.begin(id);
    let stopped = run.tools.engine.stop(id, run.grace()).await;
    run.tools.planned.end(id);
    if let Err(error) = stopped
        && !error.is_not_found()
    {
        tracing::warn!(%error, id, "an instance of an interrupted deploy could not be stopped");
    }
}

const fn step_of(status: DeployStatus) -> StepName {
    match status {
        DeployStatus::Pulling => StepName::Pull,
        DeployStatus::Creating => StepName::Create,
        DeployStatus::Starting => StepName::Start,
        DeployStatus::Gating => StepName::Gate,
        DeployStatus::Replacing => StepName::Replace,
        DeployStatus::Retiring => StepName::Retire,
        DeployStatus::Restoring => StepName::Restore,
        DeployStatus::Queued
        | DeployStatus::Planning
        | DeployStatus::Succeeded
        | DeployStatus::Failed
        | DeployStatus::Cancelled => StepName::Plan,
    }
}
