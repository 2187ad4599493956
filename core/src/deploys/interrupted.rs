//! What deploys that a stop of the server interrupted were doing to instances: it has
//! happened since, or goes on.

use super::Deploys;
use crate::{
    instances::{Operation, Planned},
    model::{DeployStatus, Plan, Strategy},
    store::{OpenDeploy, StoreError},
};

impl Deploys {
    /// To be called before anything is observed: what they do is planned until they end.
    pub async fn plan_interrupted(&self) -> Result<(), StoreError> {
        let open = self.tools().store.read(|reader| reader.open_deploys());
        for deploy in open.await? {
            let operations = operations(&self.tools().planned, &deploy);
            self.goes_on_with(deploy.id, operations);
        }
        Ok(())
    }
}

fn operations(planned: &Planned, deploy: &OpenDeploy) -> Vec<Operation> {
    let plan = deploy.plan.as_ref();
    let candidate = deploy.instance.as_deref().and_then(|candidate| {
        Some(match deploy.status {
            DeployStatus::Starting
            | DeployStatus::Gating
            | DeployStatus::Replacing
            | DeployStatus::Draining
            | DeployStatus::Baking => planned.watches(candidate),
            DeployStatus::Restoring | DeployStatus::RollingBack => {
                planned.stops_since_before(candidate)
            }
            // Nobody has looked at it yet, or nobody does any more.
            DeployStatus::Queued
            | DeployStatus::Planning
            | DeployStatus::Pulling
            | DeployStatus::Creating
            | DeployStatus::Retiring
            | DeployStatus::Succeeded
            | DeployStatus::Failed
            | DeployStatus::Cancelled
            | DeployStatus::RolledBack => return None,
        })
    });
    let old = plan.filter(|plan| has_stopped_old(plan, deploy.status));
    let old = old.and_then(|plan| plan.replaces.as_deref());
    let old = old.map(|old| planned.stops_since_before(old));
    candidate.into_iter().chain(old).collect()
}

/// Or was about to.
fn has_stopped_old(plan: &Plan, status: DeployStatus) -> bool {
    match status {
        DeployStatus::Starting | DeployStatus::Gating => plan.strategy == Strategy::StopFirst,
        DeployStatus::Replacing
        | DeployStatus::Draining
        | DeployStatus::Baking
        | DeployStatus::Retiring
        | DeployStatus::Restoring
        | DeployStatus::RollingBack => true,
        DeployStatus::Queued
        | DeployStatus::Planning
        | DeployStatus::Pulling
        | DeployStatus::Creating
        | DeployStatus::Succeeded
        | DeployStatus::Failed
        | DeployStatus::Cancelled
        | DeployStatus::RolledBack => false,
    }
}
