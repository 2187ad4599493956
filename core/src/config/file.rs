use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{Spanned, Value};

use super::ConfigError;

/// The file as it was written; values are checked where they are used.
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    text: String,
    keys: Keys,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    listen: Option<Spanned<Value>>,
    data: Option<Spanned<Value>>,
    plugins: Option<Spanned<Value>>,
    engine: Option<Spanned<Value>>,
    hosts: Option<Spanned<Value>>,
    public_url: Option<Spanned<Value>>,
    events_days: Option<Spanned<Value>>,
    events_max: Option<Spanned<Value>>,
    events_mib: Option<Spanned<Value>>,
    logs_days: Option<Spanned<Value>>,
    types_days: Option<Spanned<Value>>,
    logs_max: Option<Spanned<Value>>,
    logs_mib: Option<Spanned<Value>>,
    streams_max: Option<Spanned<Value>>,
    streams_per_client: Option<Spanned<Value>>,
    deploys_max: Option<Spanned<Value>>,
    pulls_max: Option<Spanned<Value>>,
    caddy: Option<Spanned<Value>>,
    http_port: Option<Spanned<Value>>,
    https_port: Option<Spanned<Value>>,
    certificates: Option<Spanned<Value>>,
    certificates_email: Option<Spanned<Value>>,
}

pub(super) fn read(path: &Path) -> Result<ConfigFile, ConfigError> {
    let wrong = |problem: String| ConfigError::File {
        path: path.to_owned(),
        problem,
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let keys = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(ConfigFile {
        path: path.to_owned(),
        text,
        keys,
    })
}

impl ConfigFile {
    /// The value as text, and the line it is on.
    pub(super) fn value(&self, name: &str) -> Option<(String, usize)> {
        let keys = &self.keys;
        let found = match name {
            "listen" => &keys.listen,
            "data" => &keys.data,
            "plugins" => &keys.plugins,
            "engine" => &keys.engine,
            "hosts" => &keys.hosts,
            "public_url" => &keys.public_url,
            "events_days" => &keys.events_days,
            "events_max" => &keys.events_max,
            "events_mib" => &keys.events_mib,
            "logs_days" => &keys.logs_days,
            "types_days" => &keys.types_days,
            "logs_max" => &keys.logs_max,
            "logs_mib" => &keys.logs_mib,
            "streams_max" => &keys.streams_max,
            "streams_per_client" => &keys.streams_per_client,
            "deploys_max" => &keys.deploys_max,
            "pulls_max" => &keys.pulls_max,
            "caddy" => &keys.caddy,
            "http_port" => &keys.http_port,
            "https_port" => &keys.https_port,
            "certificates" => &keys.certificates,
            "certificates_email" => &keys.certificates_email,
            _ => return None,
        };
        let found = found.as_ref()?;
        let line = self.text[..found.span().start].lines().count().max(1);
        Some((plain(found.get_ref()), line))
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Table(items) => {
            let items = items.iter();
            let items = items.map(|(name, value)| format!("{name}={}", plain(value)));
            items.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}
