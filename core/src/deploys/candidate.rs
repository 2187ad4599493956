use std::collections::BTreeMap;

use super::{error::Stop, run::Run};
use crate::{
    engine::{
        ContainerSpec, EngineError, LABEL_DEPLOY, LABEL_GENERATION, LABEL_PROJECT, LABEL_SPEC_HASH,
        LABEL_STAGE, Place,
    },
    model::{InstanceStatus, Plan, RestartPolicy, StepName},
};

impl Run {
    /// The instance that is to serve: its container, and its name.
    pub(super) async fn create(
        &self,
        plan: &Plan,
        image: &str,
    ) -> Result<(String, Option<String>), Stop> {
        let failed = |error: EngineError| Stop::failed(StepName::Create, error.to_string());
        let container = self.container(plan, image);
        let created = match self.tools.engine.create(&container).await {
            // Left by a run of this deploy that a crash interrupted.
            Err(conflict @ EngineError::Conflict { .. }) => {
                let found = self.tools.engine.inspect(&container.name).await;
                let found = found.map_err(failed)?.instance;
                let is_own = found.deploy == Some(self.deploy.id);
                if !is_own || found.status != InstanceStatus::Created {
                    return Err(failed(conflict));
                }
                let _removing = self.tools.planned.stops(&found.id);
                self.tools.engine.remove(&found.id).await.map_err(failed)?;
                self.tools.engine.create(&container).await
            }
            other => other,
        };
        let id = created.map_err(failed)?;
        let (deploy, instance) = (self.deploy.id, id.clone());
        self.tools
            .store
            .write(move |tx| tx.set_deploy_instance(deploy, &instance))
            .await?;
        Ok((id, Some(container.name)))
    }

    fn container(&self, plan: &Plan, image: &str) -> ContainerSpec {
        let lane = &self.deploy.lane;
        let hashed = serde_json::to_vec(&self.spec).unwrap_or_default();
        let spec_hash = hex::encode(&self.tools.keyring.mac("spec", &hashed)[..8]);
        let labels = [
            (LABEL_PROJECT, lane.project.to_string()),
            (LABEL_STAGE, lane.stage.to_string()),
            (LABEL_DEPLOY, self.deploy.id.to_string()),
            (LABEL_GENERATION, self.deploy.generation.to_string()),
            (LABEL_SPEC_HASH, spec_hash),
        ];
        let labels: BTreeMap<String, String> = labels
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        ContainerSpec {
            name: format!(
                "{}-{}-{}-0",
                lane.project, lane.stage, self.deploy.generation
            ),
            image: image.to_owned(),
            spec: self.spec.clone(),
            labels,
            restart: RestartPolicy::No,
            place: plan.address.map(|address| Place {
                network: self.tools.network.clone(),
                address,
            }),
        }
    }
}
