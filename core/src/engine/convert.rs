use std::collections::BTreeMap;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, HealthConfig,
    HealthStatusEnum, HostConfig, NetworkingConfig, PortBinding, PortMap,
    RestartPolicy as EngineRestartPolicy, RestartPolicyNameEnum,
};

use super::{
    ContainerSpec, Hint, Inspection, image_labels::without_credentials, images::readable, network,
};
use crate::model::{
    DeployId, DockerHealth, Health, Instance, InstanceStatus, PortSpec, Protocol, PublishedPort,
    RestartPolicy, Timestamp,
};

pub const LABEL_PROJECT: &str = "tiny-forge.project";
pub const LABEL_STAGE: &str = "tiny-forge.stage";
pub const LABEL_DEPLOY: &str = "tiny-forge.deploy";
pub const LABEL_GENERATION: &str = "tiny-forge.generation";
pub const LABEL_SPEC_HASH: &str = "tiny-forge.spec-hash";

/// Labels of images, and of containers that are not ours, may hold anything.
const SECRET_WORDS: [&str; 7] = [
    "secret",
    "password",
    "passwd",
    "token",
    "apikey",
    "api-key",
    "credential",
];

pub(super) fn create_body(container: &ContainerSpec) -> ContainerCreateBody {
    let spec = &container.spec;
    let env = spec.env.iter().map(|entry| {
        format!(
            "{}={}",
            entry.name,
            entry.value.as_deref().unwrap_or_default()
        )
    });
    let labels = spec.labels.iter().chain(&container.labels);
    let exposed = spec.ports.iter().map(port_key).collect::<Vec<_>>();
    ContainerCreateBody {
        image: Some(container.image.clone()),
        env: Some(env.collect()),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        labels: Some(
            labels
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        ),
        exposed_ports: (!exposed.is_empty()).then_some(exposed),
        healthcheck: spec.health.docker.as_ref().map(health_config),
        host_config: Some(host_config(container)),
        networking_config: container.place.as_ref().map(|place| NetworkingConfig {
            endpoints_config: Some(
                [(place.network.clone(), network::endpoint(place.address))].into(),
            ),
        }),
        ..ContainerCreateBody::default()
    }
}

/// The one it is made with.
fn first_network(container: &ContainerSpec) -> Option<String> {
    let own = container.place.as_ref();
    let own = own.map(|place| place.network.clone());
    own.or_else(|| container.spec.networks.first().cloned())
}

/// Those it joins afterwards.
pub(super) fn further_networks(container: &ContainerSpec) -> &[String] {
    let networks = &container.spec.networks;
    match container.place {
        Some(_) => networks,
        None => networks.get(1..).unwrap_or_default(),
    }
}

pub(super) fn restart_policy(policy: RestartPolicy) -> EngineRestartPolicy {
    let name = match policy {
        RestartPolicy::No => RestartPolicyNameEnum::NO,
        RestartPolicy::Always => RestartPolicyNameEnum::ALWAYS,
        RestartPolicy::UnlessStopped => RestartPolicyNameEnum::UNLESS_STOPPED,
        RestartPolicy::OnFailure => RestartPolicyNameEnum::ON_FAILURE,
    };
    EngineRestartPolicy {
        name: Some(name),
        maximum_retry_count: None,
    }
}

fn host_config(container: &ContainerSpec) -> HostConfig {
    let spec = &container.spec;
    let binds = spec.volumes.iter().map(|volume| {
        let mode = if volume.read_only { "ro" } else { "rw" };
        format!("{}:{}:{mode}", volume.source, volume.target)
    });
    HostConfig {
        binds: Some(binds.collect()),
        port_bindings: Some(port_bindings(container)),
        restart_policy: Some(restart_policy(container.restart)),
        network_mode: first_network(container),
        memory: spec.limits.memory_bytes,
        nano_cpus: spec.limits.cpus.map(|cpus| (cpus * 1e9) as i64),
        pids_limit: spec.limits.pids,
        ..HostConfig::default()
    }
}

fn port_bindings(container: &ContainerSpec) -> PortMap {
    let mut bindings = PortMap::new();
    let is_held = container.place.is_some();
    let ports = container.spec.ports.iter();
    for port in ports.filter(|port| !is_held || !port.can_be_held()) {
        let binding = PortBinding {
            host_ip: port.host_ip.clone(),
            host_port: port.host.map(|host| host.to_string()),
        };
        bindings
            .entry(port_key(port))
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    bindings
}

fn port_key(port: &PortSpec) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.container)
}

fn health_config(health: &DockerHealth) -> HealthConfig {
    let nanoseconds = |ms: u64| i64::try_from(ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    HealthConfig {
        test: Some(health.test.clone()),
        interval: Some(nanoseconds(health.interval_ms)),
        timeout: Some(nanoseconds(health.timeout_ms)),
        retries: Some(i64::from(health.retries)),
        start_period: Some(nanoseconds(health.start_period_ms)),
        start_interval: None,
    }
}

/// What an inspection says, in our words. `None` when the answer has no id.
pub(super) fn inspection(answer: ContainerInspectResponse) -> Option<Inspection> {
    let id = answer.id?;
    let state = answer.state.unwrap_or_default();
    let config = answer.config.unwrap_or_default();
    let labels: BTreeMap<String, String> = config.labels.unwrap_or_default().into_iter().collect();
    let networks = answer.network_settings.unwrap_or_default();
    let health = state.health.unwrap_or_default();
    let last_check = health.log.as_ref().and_then(|log| log.last());
    let health_output = last_check.and_then(|check| check.output.clone());
    let addresses = networks.networks.unwrap_or_default().into_values();
    let addresses = addresses
        .filter_map(|network| network.ip_address?.parse().ok())
        .collect();
    let instance = Instance {
        name: answer
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        image: readable(&config.image.unwrap_or_default()).to_owned(),
        status: status(state.status),
        health: health_of(health.status),
        exit_code: state.exit_code.filter(|_| state.running != Some(true)),
        oom_killed: state.oom_killed.unwrap_or(false),
        restart_count: answer.restart_count.unwrap_or(0),
        created_at: answer
            .created
            .as_deref()
            .and_then(time)
            .unwrap_or_else(Timestamp::now),
        started_at: state.started_at.as_deref().and_then(time),
        finished_at: state.finished_at.as_deref().and_then(time),
        ports: published_ports(networks.ports.unwrap_or_default()),
        id,
        ..labelled(without_secrets(labels))
    };
    Some(Inspection {
        instance,
        addresses,
        health_output,
    })
}

/// What the event of its end says of a container that is gone, in our words.
pub(super) fn of_hint(hint: &Hint) -> Instance {
    Instance {
        id: hint.id.clone(),
        name: hint.name.clone(),
        image: readable(&hint.image).to_owned(),
        created_at: hint.time,
        ..labelled(hint.labels.clone())
    }
}

/// What labels say of a container of which nothing else is known.
fn labelled(labels: BTreeMap<String, String>) -> Instance {
    let label = |name: &str| labels.get(name).map(String::as_str);
    Instance {
        id: String::new(),
        name: String::new(),
        image: String::new(),
        managed: labels.contains_key(LABEL_PROJECT),
        project: label(LABEL_PROJECT).and_then(|name| name.parse().ok()),
        stage: label(LABEL_STAGE).and_then(|name| name.parse().ok()),
        deploy: label(LABEL_DEPLOY)
            .and_then(|id| id.parse().ok())
            .map(DeployId),
        generation: label(LABEL_GENERATION).and_then(|number| number.parse().ok()),
        status: InstanceStatus::Removed,
        health: Health::None,
        exit_code: None,
        oom_killed: false,
        restart_count: 0,
        crash_loop_since: None,
        created_at: Timestamp::now(),
        started_at: None,
        finished_at: None,
        ports: Vec::new(),
        labels,
        updated_at: Timestamp::now(),
        stale: false,
    }
}

fn status(status: Option<ContainerStateStatusEnum>) -> InstanceStatus {
    match status {
        Some(ContainerStateStatusEnum::CREATED) => InstanceStatus::Created,
        Some(ContainerStateStatusEnum::RUNNING) => InstanceStatus::Running,
        Some(ContainerStateStatusEnum::PAUSED) => InstanceStatus::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => InstanceStatus::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => InstanceStatus::Removed,
        Some(ContainerStateStatusEnum::EXITED) => InstanceStatus::Exited,
        Some(ContainerStateStatusEnum::DEAD | ContainerStateStatusEnum::EMPTY) | None => {
            InstanceStatus::Dead
        }
        #[allow(unreachable_patterns, reason = "the engine's own list may grow")]
        Some(_) => InstanceStatus::Dead,
    }
}

fn health_of(status: Option<HealthStatusEnum>) -> Health {
    match status {
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        _ => Health::None,
    }
}

/// The engine writes year 1 for "never".
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).filter(|at| at.unix_ms() > 0)
}

fn published_ports(ports: PortMap) -> Vec<PublishedPort> {
    let mut published = Vec::new();
    for (key, bindings) in ports {
        let Some((container, protocol)) = key.split_once('/') else {
            continue;
        };
        let protocol = if protocol == "udp" {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        for binding in bindings.unwrap_or_default() {
            let host = binding.host_port.and_then(|port| port.parse().ok());
            let (Some(host), Ok(container)) = (host, container.parse()) else {
                continue;
            };
            let host_ip = binding.host_ip.unwrap_or_default();
            published.push(PublishedPort {
                host_ip,
                host,
                container,
                protocol,
            });
        }
    }
    published.sort_by(|a, b| (a.host, &a.host_ip).cmp(&(b.host, &b.host_ip)));
    published
}

pub(super) fn without_secrets(labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_secret = |name: &str| {
        let name = name.to_lowercase();
        SECRET_WORDS.iter().any(|word| name.contains(word))
    };
    let kept = labels.into_iter().map(|(name, value)| {
        let value = if is_secret(&name) {
            "(redacted)".to_owned()
        } else {
            without_credentials(&value)
        };
        (name, value)
    });
    kept.collect()
}
