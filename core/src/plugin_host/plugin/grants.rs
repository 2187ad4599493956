//! What is asked and not given, in the words that the operator has to add.

use std::collections::BTreeSet;

use toml_edit::{Key, Value};

use super::asks::target_urls;
use crate::{
    model::{Asked, SecretName},
    plugin_host::{
        capabilities::{is_granted, written_origin},
        config::PluginConfig,
    },
};

/// Of a `[plugin.NAME]` at most.
const NAME_LENGTH: usize = 40;

/// What a plugin asks for and does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    pub http: Vec<String>,
    pub secrets: Vec<MissingSecret>,
    /// Of TOML, one for each thing.
    pub lines: Vec<String>,
}

/// A secret that a plugin was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSecret {
    pub name: String,
    /// One of this name is in the sealed store.
    pub is_stored: bool,
}

impl Missing {
    /// `stored`: names in the sealed store.
    pub(super) fn of(asked: &Asked, config: &PluginConfig, stored: &BTreeSet<SecretName>) -> Self {
        let http = asked.http.iter();
        let http: Vec<String> = http
            .filter(|origin| is_granted(&config.grants.http, origin) == Some(false))
            .cloned()
            .collect();
        let secrets = asked.secrets.iter();
        let secrets: Vec<MissingSecret> = secrets
            .filter(|name| !config.secrets.contains_key(*name))
            .map(|name| MissingSecret {
                name: name.clone(),
                is_stored: name.parse().is_ok_and(|name| stored.contains(&name)),
            })
            .collect();
        let mut lines = Vec::new();
        if !http.is_empty() {
            let all = config.grants.http.iter().chain(&http);
            lines.push(format!("grants.http = {}", list(all)));
        }
        lines.extend(secrets.iter().map(MissingSecret::line));
        Self {
            http,
            secrets,
            lines,
        }
    }

    fn lacks_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|secret| secret.name == name)
    }

    /// There is one of this name in the sealed store by now, or none any more.
    pub(super) fn note_stored(&mut self, name: &str, is_stored: bool) {
        for secret in self.secrets.iter_mut().filter(|it| it.name == name) {
            let before = secret.line();
            secret.is_stored = is_stored;
            for line in self.lines.iter_mut().filter(|line| **line == before) {
                *line = secret.line();
            }
        }
    }

    /// Whether it lacks something that the other one does not.
    pub(super) fn is_more_than(&self, other: &Self) -> bool {
        let mut secrets = self.secrets.iter();
        !self.http.iter().all(|it| other.http.contains(it))
            || !secrets.all(|secret| other.lacks_secret(&secret.name))
    }
}

impl MissingSecret {
    /// Of TOML.
    pub fn line(&self) -> String {
        let Self { name, is_stored } = self;
        let place = if *is_stored { "store" } else { "env" };
        format!("secrets.{name} = \"{place}:{name}\"")
    }
}

/// A whole `[plugin.NAME]`, with a pipeline to use it in.
pub fn suggest(file: &str, role: &str, asked: &Asked, schema: &serde_json::Value) -> String {
    let name = name_of(file);
    let file = Value::from(file);
    let mut text = format!("[plugin.{name}]\nfile = {file}\n");
    for key in required(schema) {
        text.push_str(&format!("config.{} = …\n", Key::new(key)));
    }
    for secret in &asked.secrets {
        text.push_str(&format!("secrets.{secret} = \"env:{secret}\"\n"));
    }
    let origins: Vec<&String> = asked
        .http
        .iter()
        .filter(|it| written_origin(it).is_some())
        .collect();
    let targets: Vec<String> = target_urls(schema)
        .map(|key| format!("config.{}", Key::new(key)))
        .collect();
    if !targets.is_empty() {
        let all = list(origins.into_iter().chain([&"…".to_owned()]));
        let targets = targets.join(", ");
        text.push_str(&format!(
            "grants.http = {all} # the origin of {targets}: https://example.org\n"
        ));
    } else if !origins.is_empty() {
        let all = list(origins.into_iter());
        text.push_str(&format!("grants.http = {all}\n"));
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

/// As the configuration takes it, and close to the file's.
fn name_of(file: &str) -> String {
    let base = file.strip_suffix(".wasm").unwrap_or(file).to_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name: String = base
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .take(NAME_LENGTH)
        .collect();
    match name.trim_matches('-') {
        "" => "plugin".to_owned(),
        name => name.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Asked, suggest};
    use crate::plugin_host::config::FileConfig;

    #[test]
    fn a_url_that_is_to_be_set_has_its_origin_granted_beside_it() {
        let schema = json!({"required": ["url"], "properties": {
            "url": {"type": "string", "format": "target-url"}, "title": {"type": "string"},
        }});
        let mut asked = Asked::default();
        let expected = "config.url = …\n\
            grants.http = [\"…\"] # the origin of config.url: https://example.org\n";
        let text = suggest("hook.wasm", "sink", &asked, &schema);
        assert!(text.contains(expected), "{text}");
        asked.http.push("https://api.example.net".into());
        let text = suggest("hook.wasm", "sink", &asked, &schema);
        assert!(
            text.contains("grants.http = [\"https://api.example.net\", \"…\"] #"),
            "{text}"
        );
    }

    #[test]
    fn what_is_suggested_can_be_used_however_the_file_is_named() {
        for (file, name) in [
            ("hello.wasm", "hello"),
            ("Hello-1.2.wasm", "hello-1-2"),
            ("my \"hook\".wasm", "my--hook"),
            ("größe.wasm", "gr--e"),
            ("¿?.wasm", "plugin"),
            (&format!("{}.wasm", "x".repeat(99)), &"x".repeat(40)),
        ] {
            let text = suggest(file, "sink", &Asked::default(), &json!({}));
            let config = FileConfig::parse("a.toml", &text).expect("it can be used");
            assert!(config.plugins.contains_key(name), "{text}");
            let named = config.plugins[name].source.to_string();
            assert_eq!(named, file);
        }
    }
}
