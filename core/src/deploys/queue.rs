use std::{collections::HashSet, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    recover,
    run::{self, Run},
    service::Deploys,
};
use crate::{
    model::{DeployStatus, Lane},
    store::OpenDeploy,
};

/// Even if a wake-up were lost, a lane with queued work is found again.
const REAP_EVERY: Duration = Duration::from_secs(5);

/// Gives each lane one deploy at a time, until cancelled. Deploys that are
/// under way then are left as they are and taken up at the next start.
pub async fn run(deploys: Deploys, token: CancellationToken) {
    let Some(()) = token.run_until_cancelled(recover::run(&deploys)).await else {
        return;
    };
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
    // Oldest first, so the first queued of a lane is the next of that lane.
    for deploy in open {
        if deploy.status == DeployStatus::Queued && busy.insert(deploy.lane.clone()) {
            let cancel = deploys.begin(deploy.id);
            running.spawn(one(deploys.clone(), deploy, cancel));
        }
    }
}

async fn one(deploys: Deploys, deploy: OpenDeploy, cancel: CancellationToken) -> Lane {
    let (id, lane) = (deploy.id, deploy.lane.clone());
    let outcome = match Run::prepare(deploys.tools().clone(), deploy, cancel) {
        Ok(run) => run.through().await,
        Err(refused) => {
            let (journal, stop) = *refused;
            run::conclude(&journal, Err(stop)).await
        }
    };
    if let Err(error) = outcome {
        tracing::error!(%error, deploy = %id, "a deploy could not be written to its end");
    }
    deploys.end(id);
    lane
}
