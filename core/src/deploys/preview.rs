//! What a deploy would do now, without doing it.

use std::time::Duration;

use super::{DeployError, Deploys, holdable, plan, registry, situation, spec_diff};
use crate::{
    engine::EngineError,
    model::{DeployPreview, ImageName, Lane, PullPolicy, Spec},
    store::SealError,
};

/// A registry that does not answer must not hold up whoever only asks.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(15);

impl Deploys {
    /// Changes nothing. What cannot be found out is a warning of the plan.
    pub async fn preview(
        &self,
        lane: Lane,
        image: Option<String>,
    ) -> Result<DeployPreview, DeployError> {
        let tools = self.tools();
        let wanted = lane.clone();
        let known = tools.store.read(move |reader| {
            let Some(row) = reader.lane(&wanted)? else {
                return Ok(None);
            };
            let serving = match &row.instance {
                Some(instance) => reader.deployed_as(instance)?,
                None => None,
            };
            Ok(Some((row, serving)))
        });
        let Some((row, serving)) = known.await? else {
            return Err(DeployError::NotFound {
                kind: "stage",
                name: lane.to_string(),
            });
        };
        let sealed = image.map_or(row.spec.clone(), |image| row.spec.with_image(image));
        let problems = sealed.masked().problems();
        if !problems.is_empty() {
            return Err(DeployError::Invalid(problems));
        }
        let unreadable = |error: SealError| DeployError::Conflict(error.to_string());
        let spec = sealed.open(&lane, &tools.keyring).map_err(unreadable)?;
        let situation = situation::of(tools, &lane, &spec).await?;
        let mut plan = plan::decide(&spec, &situation);
        for network in &spec.networks {
            if !tools.engine.network_exists(network).await? {
                plan.warnings.push(plan::no_network(network));
            }
        }
        let problem = holdable::problem(tools, &lane, &spec, &situation).await?;
        plan.warnings.extend(problem);
        let digest = self.digest(&spec, &mut plan.warnings).await?;
        let (changes, serving_digest) = match serving {
            Some(serving) => {
                let before = serving
                    .spec
                    .open(&lane, &tools.keyring)
                    .map_err(unreadable)?;
                (spec_diff::changes(&before, &spec), serving.digest)
            }
            None => (Vec::new(), None),
        };
        Ok(DeployPreview {
            steps: plan::steps(&plan, spec.bake_ms),
            plan,
            image: spec.image,
            digest,
            serving_digest,
            changes,
        })
    }

    async fn digest(
        &self,
        spec: &Spec,
        warnings: &mut Vec<String>,
    ) -> Result<Option<String>, EngineError> {
        let tools = self.tools();
        let local = tools.engine.image(&spec.image).await?;
        match (spec.pull, local) {
            (PullPolicy::Missing | PullPolicy::Never, Some(local)) => {
                return Ok(local.digest_in(&spec.image));
            }
            (PullPolicy::Never, None) => {
                warnings.push(format!(
                    "image `{}` is not on this engine, and the pull policy is `never`",
                    spec.image
                ));
                return Ok(None);
            }
            (PullPolicy::Always, _) | (PullPolicy::Missing, None) => {}
        }
        let login = registry::login(spec, &spec.image, tools.docker_config.as_deref()).await;
        let asked = tools.engine.resolve(&spec.image, login);
        let found = match tokio::time::timeout(REGISTRY_TIMEOUT, asked).await {
            Ok(Ok(digest)) => return Ok(digest),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        let registry = ImageName::parse(&spec.image).registry;
        warnings.push(format!(
            "the pull may fail: {registry} was asked in vain: {found}"
        ));
        Ok(None)
    }
}
