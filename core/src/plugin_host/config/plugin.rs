use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;

use super::raw;
use crate::{
    model::{PluginRole, SecretName},
    plugin_host::{capabilities::is_secret_name, sandbox::Limits},
};

/// A `[plugin.NAME]`, checked as far as it can be without its file.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginConfig {
    pub source: Source,
    /// Only this file is taken.
    pub sha256: Option<String>,
    /// What the plugin's own `configure` gets.
    pub config: serde_json::Value,
    pub secrets: BTreeMap<String, SecretConfig>,
    pub grants: Grants,
    pub limits: LimitOverrides,
}

/// Where the plugin's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file name in the plugins folder.
    File(String),
    /// One of those inside this binary.
    Builtin(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Builtin(name) => write!(f, "builtin:{name}"),
        }
    }
}

/// A secret as the operator gives it to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretConfig {
    pub source: SecretSource,
    /// The only origins it may go to; otherwise all that the plugin may reach.
    pub to: Option<Vec<String>>,
}

/// Where the value of a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    Environment(String),
    /// Its content without the final line end.
    File(PathBuf),
    /// In the sealed store, under this name.
    Store(SecretName),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    pub http: Vec<String>,
    pub networks: Vec<IpNet>,
}

/// What the operator set; the role's defaults hold for the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitOverrides {
    memory_bytes: Option<usize>,
    cpu: Option<Duration>,
    start_cpu: Option<Duration>,
    wall: Option<Duration>,
    host_calls: Option<u32>,
    output_bytes: Option<usize>,
}

impl LimitOverrides {
    pub fn over(&self, role: PluginRole) -> Limits {
        let defaults = Limits::for_role(role);
        Limits {
            memory_bytes: self.memory_bytes.unwrap_or(defaults.memory_bytes),
            call_cpu: self.cpu.unwrap_or(defaults.call_cpu),
            start_cpu: self.start_cpu.unwrap_or(defaults.start_cpu),
            wall: self.wall.unwrap_or(defaults.wall),
            host_calls: self.host_calls.unwrap_or(defaults.host_calls),
            output_bytes: self.output_bytes.unwrap_or(defaults.output_bytes),
        }
    }
}

impl PluginConfig {
    /// One that nothing is configured for.
    pub fn of(source: Source) -> Self {
        Self {
            source,
            sha256: None,
            config: serde_json::Value::Object(serde_json::Map::new()),
            secrets: BTreeMap::new(),
            grants: Grants::default(),
            limits: LimitOverrides::default(),
        }
    }

    /// Whether a file may be called so.
    pub fn check_file(name: &str) -> Result<(), String> {
        match source(name)? {
            Source::File(_) => Ok(()),
            Source::Builtin(_) => Err("a built-in plugin has no file".to_owned()),
        }
    }

    /// What it takes from the sealed store, each once.
    pub fn stored_secrets(&self) -> BTreeSet<&SecretName> {
        let sources = self.secrets.values().map(|secret| &secret.source);
        sources
            .filter_map(|source| match source {
                SecretSource::Store(name) => Some(name),
                SecretSource::Environment(_) | SecretSource::File(_) => None,
            })
            .collect()
    }

    pub(super) fn from_raw(raw: raw::Plugin) -> Result<Self, String> {
        let raw::Plugin {
            file,
            sha256,
            config,
            secrets,
            grants,
            limits,
        } = raw;
        let secrets = secrets
            .into_iter()
            .map(|(name, source)| Ok((name.clone(), secret(&name, source)?)))
            .collect::<Result<_, String>>()?;
        Ok(Self {
            source: source(&file)?,
            sha256: sha256.map(|digest| check_digest(&digest)).transpose()?,
            config: json(toml::Value::Table(config))?,
            secrets,
            grants: Grants {
                networks: networks(&grants.networks)?,
                http: grants.http,
            },
            limits: overrides(&limits)?,
        })
    }
}

fn source(file: &str) -> Result<Source, String> {
    if let Some(name) = file.strip_prefix("builtin:") {
        return Ok(Source::Builtin(name.to_owned()));
    }
    let plain = !file.contains(['/', '\\']) && !file.starts_with('.');
    if plain && file.ends_with(".wasm") {
        return Ok(Source::File(file.to_owned()));
    }
    Err(format!(
        "file = \"{file}\": expected the name of a `.wasm` in the plugins folder, or `builtin:NAME`"
    ))
}

fn secret(name: &str, raw: raw::Secret) -> Result<SecretConfig, String> {
    if !is_secret_name(name) {
        return Err(format!(
            "secret name `{name}`: use letters, digits and _, 64 at most"
        ));
    }
    let (from, to) = match raw {
        raw::Secret::From(from) => (from, None),
        raw::Secret::Bound(raw::BoundSecret { from, to }) => (from, Some(to)),
    };
    let source = secret_source(name, &from)?;
    Ok(SecretConfig { source, to })
}

/// The value never appears in the message: it may be the secret itself.
fn secret_source(name: &str, from: &str) -> Result<SecretSource, String> {
    match from.split_once(':') {
        Some(("env", variable)) if !variable.is_empty() => {
            Ok(SecretSource::Environment(variable.to_owned()))
        }
        Some(("file", path)) if path.starts_with('/') => Ok(SecretSource::File(path.into())),
        Some(("store", stored)) => stored
            .parse()
            .map(SecretSource::Store)
            .map_err(|error| format!("secrets.{name}: {error}")),
        _ => Err(format!(
            "secrets.{name}: expected where to find it, \"env:VARIABLE\", \"file:/absolute/path\" \
             or \"store:NAME\", not the value itself"
        )),
    }
}

fn check_digest(digest: &str) -> Result<String, String> {
    let digest = digest.to_ascii_lowercase();
    let good = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then_some(digest)
        .ok_or_else(|| "sha256: expected 64 hex digits".to_owned())
}

fn networks(texts: &[String]) -> Result<Vec<IpNet>, String> {
    let parse = |text: &String| {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or(address).map_err(|_| {
            format!("grants.networks: `{text}` is not a network such as 127.0.0.1/32 or 10.0.0.0/8")
        })
    };
    texts.iter().map(parse).collect()
}

fn overrides(raw: &raw::Limits) -> Result<LimitOverrides, String> {
    let within = |key: &str, value: Option<u32>, most: u32| match value {
        Some(value) if value == 0 || value > most => Err(format!(
            "limits.{key} = {value}: expected a number from 1 to {most}"
        )),
        other => Ok(other),
    };
    let ms = |value: Option<u32>| value.map(|ms| Duration::from_millis(ms.into()));
    let bytes = |value: Option<u32>, shift: u32| value.map(|value| (value as usize) << shift);
    Ok(LimitOverrides {
        memory_bytes: bytes(within("memory_mib", raw.memory_mib, 1024)?, 20),
        cpu: ms(within("cpu_ms", raw.cpu_ms, 10_000)?),
        start_cpu: ms(within("start_ms", raw.start_ms, 60_000)?),
        wall: ms(within("wall_ms", raw.wall_ms, 120_000)?),
        host_calls: within("host_calls", raw.host_calls, 10_000)?,
        output_bytes: bytes(within("output_kib", raw.output_kib, 16 << 10)?, 10),
    })
}

/// TOML as the plugin sees it. Dates become text; JSON has no `nan`.
fn json(value: toml::Value) -> Result<serde_json::Value, String> {
    use serde_json::Value as Json;
    Ok(match value {
        toml::Value::String(text) => Json::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .map(Json::Number)
            .ok_or_else(|| format!("config: {number} cannot be a number in JSON"))?,
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => Json::String(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(json).collect::<Result<_, _>>()?,
        toml::Value::Table(table) => {
            let entries = table
                .into_iter()
                .map(|(key, value)| Ok((key, json(value)?)));
            Json::Object(entries.collect::<Result<_, String>>()?)
        }
    })
}
