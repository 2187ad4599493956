use std::{collections::HashSet, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    error::Stop,
    run::{self, Run},
    service::Deploys,
};
use crate::{
    failpoint,
    model::{Lane, StepName},
    store::{OpenDeploy, StoreError},
};

/// Even if a wake-up were lost, a lane with queued work is found again.
const REAP_EVERY: Duration = Duration::from_secs(5);

/// Gives each lane one deploy at a time, until cancelled. Deploys that are
/// under way then are left as they are, and go on at the next start.
pub async fn run(deploys: Deploys, token: CancellationToken) {
    let mut running = JoinSet::new();
    let mut busy: HashSet<Lane> = HashSet::new();
    loop {
        start_what_can_start(&deploys, &mut running, &mut busy).await;
        tokio::select! {
            () = token.cancelled() => break,
            () = deploys.woken() => {}
            Some(ended) = running.join_next() => match ended {
                Ok(lane) => {
                    busy.remove(&lane);
                }
                Err(error) => tracing::error!(%error, "a deploy ended by a panic"),
            },
            () = tokio::time::sleep(REAP_EVERY) => {}
        }
    }
    running.shutdown().await;
}

async fn start_what_can_start(
    deploys: &Deploys,
    running: &mut JoinSet<Lane>,
    busy: &mut HashSet<Lane>,
) {
    let open = match deploys
        .tools()
        .store
        .read(|reader| reader.open_deploys())
        .await
    {
        Ok(open) => open,
        Err(error) => {
            tracing::warn!(%error, "the queue cannot be read now");
            return;
        }
    };
    // Oldest first, so the first of a lane is its next: one that a stop of the server
    // interrupted, or the first that waits.
    for deploy in open {
        if running.len() >= deploys.deploys_max() {
            break;
        }
        if busy.insert(deploy.lane.clone()) {
            let cancel = deploys.begin(&deploy);
            running.spawn(one(deploys.clone(), deploy, cancel));
        }
    }
}

async fn one(deploys: Deploys, deploy: OpenDeploy, cancel: CancellationToken) -> Lane {
    let (id, lane) = (deploy.id, deploy.lane.clone());
    let outcome = through(&deploys, deploy.clone(), cancel.clone());
    let outcome = AssertUnwindSafe(failpoint::in_deploy(outcome));
    let outcome = match outcome.catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => broken(&deploys, deploy, cancel).await,
    };
    if let Err(error) = outcome {
        tracing::error!(%error, deploy = %id, "a deploy could not be written to its end");
        // It is taken up again.
        tokio::time::sleep(REAP_EVERY).await;
    }
    deploys.end(id);
    lane
}

async fn through(
    deploys: &Deploys,
    deploy: OpenDeploy,
    cancel: CancellationToken,
) -> Result<(), StoreError> {
    match Run::prepare(deploys.tools().clone(), deploy, cancel) {
        Ok(run) => run.through().await,
        Err(refused) => {
            let (journal, stop) = *refused;
            run::conclude(&journal, stop).await
        }
    }
}

/// A mistake of ours costs this deploy, not its lane.
async fn broken(
    deploys: &Deploys,
    deploy: OpenDeploy,
    cancel: CancellationToken,
) -> Result<(), StoreError> {
    let reason =
        "tiny-forge made a mistake and gave up (see its log); what serves was left as it is";
    let journal = match Run::prepare(deploys.tools().clone(), deploy, cancel) {
        Ok(run) => run.journal,
        Err(refused) => refused.0,
    };
    run::conclude(&journal, Stop::failed(StepName::Plan, reason)).await
}
