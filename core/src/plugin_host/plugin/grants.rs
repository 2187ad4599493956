//! What is asked and not given, in the words that the operator has to add.

use toml_edit::Key;

use crate::{
    model::Asked,
    plugin_host::{
        capabilities::{is_granted, written_origin},
        config::PluginConfig,
    },
};

/// What a plugin asks for and does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    pub http: Vec<String>,
    secrets: Vec<String>,
    /// Of TOML, one for each thing.
    pub lines: Vec<String>,
}

impl Missing {
    pub(super) fn of(asked: &Asked, config: &PluginConfig) -> Self {
        let http = asked.http.iter();
        let http: Vec<String> = http
            .filter(|origin| is_granted(&config.grants.http, origin) == Some(false))
            .cloned()
            .collect();
        let secrets = asked.secrets.iter();
        let secrets: Vec<String> = secrets
            .filter(|name| !config.secrets.contains_key(*name))
            .cloned()
            .collect();
        let mut lines = Vec::new();
        if !http.is_empty() {
            let all = config.grants.http.iter().chain(&http);
            lines.push(format!("grants.http = {}", list(all)));
        }
        let unset = secrets.iter();
        lines.extend(unset.map(|name| format!("secrets.{name} = \"env:{name}\"")));
        Self {
            http,
            secrets,
            lines,
        }
    }

    /// Whether it lacks something that the other one does not.
    pub(super) fn is_more_than(&self, other: &Self) -> bool {
        let all_in = |these: &[String], those: &[String]| these.iter().all(|it| those.contains(it));
        !all_in(&self.http, &other.http) || !all_in(&self.secrets, &other.secrets)
    }
}

/// A whole `[plugin.NAME]`, with a pipeline to use it in.
pub fn suggest(file: &str, role: &str, asked: &Asked, schema: &serde_json::Value) -> String {
    let name = file.trim_end_matches(".wasm");
    let mut text = format!("[plugin.{name}]\nfile = \"{file}\"\n");
    for key in required(schema) {
        text.push_str(&format!("config.{} = …\n", Key::new(key)));
    }
    for secret in &asked.secrets {
        text.push_str(&format!("secrets.{secret} = \"env:{secret}\"\n"));
    }
    let mut origins = asked.http.iter().filter(|it| written_origin(it).is_some());
    if let Some(first) = origins.next() {
        let origins = std::iter::once(first).chain(origins);
        text.push_str(&format!("grants.http = {}\n", list(origins)));
    }
    let (steps, sinks) = if role == "sink" {
        (String::new(), format!("\"{name}\""))
    } else {
        (format!("steps = [\"{name}\"]\n"), "…".to_owned())
    };
    text.push_str(&format!(
        "\n[pipeline.{name}]\nwhen = {{ severity = \"warning\" }}\n{steps}sinks = [{sinks}]\n"
    ));
    text
}

fn required(schema: &serde_json::Value) -> impl Iterator<Item = &str> {
    let keys = schema.get("required").and_then(serde_json::Value::as_array);
    keys.into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
}

fn list<'a>(items: impl Iterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = items.map(|item| format!("\"{item}\"")).collect();
    format!("[{}]", quoted.join(", "))
}
