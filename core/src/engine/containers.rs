use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use bollard::{
    models::{ContainerUpdateBody, NetworkConnectRequest},
    query_parameters::{
        CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
        StopContainerOptionsBuilder,
    },
};

use super::{Engine, EngineError, Place, convert};
use crate::model::{Instance, RestartPolicy, Spec};

/// What the engine may take beyond the grace it gives the container.
const STOP_SLACK: Duration = Duration::from_secs(20);

/// A container to be made.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    pub name: String,
    /// What to run: a reference, or an image id.
    pub image: String,
    /// With the values of its secrets.
    pub spec: Spec,
    /// Ours, beside the ones in `spec`.
    pub labels: BTreeMap<String, String>,
    /// Instead of the one in `spec`, which holds once it serves.
    pub restart: RestartPolicy,
    /// On a network of our own, where the data plane leads to it; its ports are held then,
    /// and not published by itself.
    pub place: Option<Place>,
}

/// What the engine knows of a container.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub instance: Instance,
    /// One per network.
    pub addresses: Vec<IpAddr>,
    /// Output of the last health check.
    pub health_output: Option<String>,
}

impl Engine {
    /// Makes a container without starting it; its id.
    pub async fn create(&self, container: &ContainerSpec) -> Result<String, EngineError> {
        let what = format!("container `{}`", container.name);
        let options = CreateContainerOptionsBuilder::new()
            .name(&container.name)
            .build();
        let body = convert::create_body(container);
        let created = self
            .call(&what, self.control()?.create_container(Some(options), body))
            .await?;
        // Engines before 25 take one network at the creation.
        for network in convert::further_networks(container) {
            if let Err(error) = self.join_network(&created.id, network).await {
                self.remove(&created.id).await?;
                return Err(error);
            }
        }
        Ok(created.id)
    }

    async fn join_network(&self, id: &str, network: &str) -> Result<(), EngineError> {
        let request = NetworkConnectRequest {
            container: id.to_owned(),
            endpoint_config: None,
        };
        let what = format!("network `{network}`");
        self.call(&what, self.control()?.connect_network(network, request))
            .await
    }

    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let options = bollard::query_parameters::StartContainerOptionsBuilder::new().build();
        self.call(
            &named(id),
            self.control()?.start_container(id, Some(options)),
        )
        .await
    }

    /// Asks it to stop, and kills it after `grace`. Fine when it has stopped already.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let streams = self.streams()?;
        let stopping = streams.stop_container(id, Some(options));
        self.call_within(&named(id), grace + STOP_SLACK, stopping)
            .await
    }

    /// Removes it, running or not, with its anonymous volumes. Fine when it is gone.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        let removed = self
            .call(
                &named(id),
                self.control()?.remove_container(id, Some(options)),
            )
            .await;
        match removed {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    pub async fn set_restart_policy(
        &self,
        id: &str,
        policy: RestartPolicy,
    ) -> Result<(), EngineError> {
        let body = ContainerUpdateBody {
            restart_policy: Some(convert::restart_policy(policy)),
            ..ContainerUpdateBody::default()
        };
        self.call(&named(id), self.control()?.update_container(id, body))
            .await
    }

    /// By id or name.
    pub async fn inspect(&self, id: &str) -> Result<Inspection, EngineError> {
        let control = self.control()?;
        let answer = self
            .call(&named(id), control.inspect_container(id, None))
            .await?;
        convert::inspection(answer).ok_or_else(|| EngineError::NotFound { what: named(id) })
    }

    /// Ids of all containers, running or not, with our label or without.
    pub async fn list(&self) -> Result<Vec<String>, EngineError> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let listed = self
            .call("containers", self.control()?.list_containers(Some(options)))
            .await?;
        Ok(listed
            .into_iter()
            .filter_map(|container| container.id)
            .collect())
    }
}

fn named(id: &str) -> String {
    let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
    format!("container `{}`", if is_id { &id[..12] } else { id })
}
