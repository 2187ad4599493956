use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DomainSpec, HealthSpec, domain};

const BAKE_MS_MAX: u64 = 3_600_000;
const DRAIN_MS_MAX: u64 = 86_400_000;

/// What a lane runs. Everything but `image` has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Image reference, e.g. `registry.example/shop:1.4`.
    pub image: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default)]
    pub env: Vec<EnvEntry>,
    #[serde(default)]
    pub ports: Vec<PortSpec>,
    /// Names under which it is reached over HTTPS; the data plane holds the way to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<DomainSpec>,
    #[serde(default)]
    pub volumes: Vec<VolumeSpec>,
    /// Existing networks to join; the engine's default when empty.
    #[serde(default)]
    pub networks: Vec<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub restart: RestartPolicy,
    #[serde(default)]
    pub health: HealthSpec,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub pull: PullPolicy,
    /// How long a container may take to stop before it is killed.
    #[serde(default = "default_stop_grace_ms")]
    pub stop_grace_ms: u64,
    /// How long a new instance is watched once it serves, with the old one at hand
    /// to take over again; 0 for not at all.
    #[serde(default = "default_bake_ms")]
    pub bake_ms: u64,
    /// Who holds the published ports.
    #[serde(default)]
    pub routing: Routing,
    /// Where the data plane holds the ports: how long connections to the old instance
    /// may go on once the new one serves. What is idle leaves at once.
    #[serde(default = "default_drain_ms")]
    pub drain_ms: u64,
    /// For a private registry; what the server's own Docker configuration says when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_auth: Option<RegistryAuth>,
}

/// A user of a registry. The password goes in and never comes out; without one, what
/// is stored is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryAuth {
    pub username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// One environment variable. A secret has no value on the way out, and keeps
/// its stored value when it comes in without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvEntry {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PortSpec {
    /// Port on the host; the engine chooses a free one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<u16>,
    pub container: u16,
    #[serde(default)]
    pub protocol: Protocol,
    /// Address on the host; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeSpec {
    /// Name of a volume, or an absolute path on the host.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    No,
    Always,
    #[default]
    UnlessStopped,
    OnFailure,
}

/// Who holds a lane's published ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// The data plane, `tiny-forge proxy`: a deploy has no downtime. The app sees the
    /// data plane as its client. Where it cannot, as for UDP, the same as `stop-first`.
    #[default]
    PortHold,
    /// The container itself: a deploy has downtime. The app sees its client's address.
    StopFirst,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    #[default]
    Always,
    Missing,
    Never,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<i64>,
    /// Cores, e.g. 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<i64>,
}

/// A field of a specification that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SpecError {
    /// JSON pointer, e.g. `/ports/0/host`.
    pub field: String,
    pub message: String,
}

impl PortSpec {
    /// Whether the data plane can hold it, instead of the container.
    pub fn can_be_held(&self) -> bool {
        self.host.is_some() && self.protocol == Protocol::Tcp
    }
}

impl Spec {
    /// A specification with nothing but an image.
    pub fn for_image(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            command: None,
            entrypoint: None,
            env: Vec::new(),
            ports: Vec::new(),
            domains: Vec::new(),
            volumes: Vec::new(),
            networks: Vec::new(),
            labels: BTreeMap::new(),
            restart: RestartPolicy::default(),
            health: HealthSpec::default(),
            limits: Limits::default(),
            pull: PullPolicy::default(),
            stop_grace_ms: default_stop_grace_ms(),
            bake_ms: default_bake_ms(),
            routing: Routing::default(),
            drain_ms: default_drain_ms(),
            registry_auth: None,
        }
    }

    /// The same without the values of its secrets: fit to be shown.
    pub fn masked(&self) -> Self {
        let mut spec = self.clone();
        for entry in spec.env.iter_mut().filter(|entry| entry.secret) {
            entry.value = None;
        }
        if let Some(auth) = &mut spec.registry_auth {
            auth.password = None;
        }
        spec
    }

    /// The values of its secrets: never to be shown.
    pub fn secret_values(&self) -> Vec<String> {
        let variables = self.env.iter().filter(|entry| entry.secret);
        let variables = variables.filter_map(|entry| entry.value.clone());
        let registry = self.registry_auth.iter();
        variables
            .chain(registry.filter_map(|auth| auth.password.clone()))
            .collect()
    }

    /// Every field that cannot work, found without asking the engine.
    pub fn problems(&self) -> Vec<SpecError> {
        let mut found = Vec::new();
        let mut report = |field: String, message: &str| {
            found.push(SpecError {
                field,
                message: message.to_owned(),
            });
        };
        if self.image.is_empty() || self.image.contains(char::is_whitespace) {
            report(
                "/image".into(),
                "expected an image reference such as `nginx:1.27`",
            );
        }
        for (i, entry) in self.env.iter().enumerate() {
            if entry.name.is_empty() || entry.name.contains(['=', '\0']) {
                report(format!("/env/{i}/name"), "expected a name without `=`");
            }
            if self.env[..i].iter().any(|other| other.name == entry.name) {
                report(format!("/env/{i}/name"), "this name is given twice");
            }
            if entry.value.is_none() && !entry.secret {
                report(format!("/env/{i}/value"), "a plain variable needs a value");
            }
        }
        for (i, port) in self.ports.iter().enumerate() {
            if port.container == 0 || port.host == Some(0) {
                report(format!("/ports/{i}"), "a port is a number from 1 to 65535");
            }
            let same = |other: &&PortSpec| {
                other.host.is_some() && other.host == port.host && other.protocol == port.protocol
            };
            if self.ports[..i].iter().any(|other| same(&other)) {
                report(format!("/ports/{i}/host"), "this host port is given twice");
            }
            if port
                .host_ip
                .as_ref()
                .is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err())
            {
                report(format!("/ports/{i}/host_ip"), "expected an IP address");
            }
        }
        for (i, volume) in self.volumes.iter().enumerate() {
            if !volume.target.starts_with('/') {
                report(format!("/volumes/{i}/target"), "expected an absolute path");
            }
            if volume.source.is_empty() {
                report(
                    format!("/volumes/{i}/source"),
                    "expected a volume name or absolute path",
                );
            }
        }
        for name in self
            .labels
            .keys()
            .filter(|name| name.starts_with("tiny-forge."))
        {
            report(
                format!("/labels/{name}"),
                "labels that start with `tiny-forge.` are ours",
            );
        }
        if self
            .health
            .docker
            .as_ref()
            .is_some_and(|docker| docker.test.is_empty())
        {
            report(
                "/health/docker/test".into(),
                "expected a command such as [\"CMD\", \"true\"]",
            );
        }
        if self.routing == Routing::StopFirst && !self.domains.is_empty() {
            report(
                "/domains".into(),
                "a domain needs `port-hold` as the routing",
            );
        }
        if self.bake_ms > BAKE_MS_MAX {
            report("/bake_ms".into(), "expected at most 3600000, an hour");
        }
        if self.drain_ms > DRAIN_MS_MAX {
            report("/drain_ms".into(), "expected at most 86400000, a day");
        }
        if self
            .registry_auth
            .as_ref()
            .is_some_and(|auth| auth.username.is_empty())
        {
            report("/registry_auth/username".into(), "expected a user's name");
        }
        if self
            .limits
            .memory_bytes
            .is_some_and(|bytes| bytes < 6 << 20)
        {
            report(
                "/limits/memory_bytes".into(),
                "the engine needs at least 6 MiB (6291456)",
            );
        }
        if self
            .limits
            .cpus
            .is_some_and(|cpus| !(cpus > 0.0 && cpus <= 1024.0))
        {
            report("/limits/cpus".into(), "expected a number above 0, e.g. 0.5");
        }
        found.extend(domain::problems(&self.domains));
        found
    }
}

const fn default_stop_grace_ms() -> u64 {
    10_000
}

const fn default_bake_ms() -> u64 {
    60_000
}

const fn default_drain_ms() -> u64 {
    30_000
}
