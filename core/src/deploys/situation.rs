use super::{DeployError, holdable, run::Tools};
use crate::{
    engine::EngineError,
    model::{InstanceStatus, Lane, Spec},
};

/// What is there before a deploy.
#[derive(Debug, Clone, Default)]
pub(super) struct Situation {
    /// Container that serves now, as well as it can.
    pub(super) serving: Option<String>,
    /// Host ports that it publishes by itself.
    pub(super) serving_ports: Vec<u16>,
    /// Why the data plane cannot hold ports here.
    pub(super) hold_obstacle: Option<String>,
    /// Host ports that containers of others publish: port and container name.
    pub(super) taken_ports: Vec<(u16, String)>,
}

/// Who serves the lane now, and which ports others hold.
pub(super) async fn of(tools: &Tools, lane: &Lane, spec: &Spec) -> Result<Situation, DeployError> {
    let lane = lane.clone();
    let (row, instances) = tools
        .store
        .read(move |reader| Ok((reader.lane(&lane)?, reader.instances()?)))
        .await?;
    let mut situation = Situation::default();
    if let Some(serving) = row.and_then(|row| row.instance) {
        match tools.engine.inspect(&serving).await {
            // One in a crash loop is restarting most of the time.
            Ok(found) if !has_ended(found.instance.status) => {
                let ports = found.instance.ports.iter();
                situation.serving_ports = ports.map(|port| port.host).collect();
                situation.serving = Some(serving);
            }
            Ok(_) | Err(EngineError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    situation.hold_obstacle = holdable::obstacle(tools, spec).await?;
    let others = instances.iter().filter(|instance| {
        situation.serving.as_deref() != Some(instance.id.as_str())
            && instance.status == InstanceStatus::Running
    });
    for other in others {
        let ports = other.ports.iter();
        let ports = ports.map(|port| (port.host, other.name.clone()));
        situation.taken_ports.extend(ports);
    }
    Ok(situation)
}

const fn has_ended(status: InstanceStatus) -> bool {
    matches!(
        status,
        InstanceStatus::Created
            | InstanceStatus::Exited
            | InstanceStatus::Dead
            | InstanceStatus::Removed
    )
}
