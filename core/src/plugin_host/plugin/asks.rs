//! What a plugin asks for because of its configuration, which its `describe` does not
//! know: where requests will go, and the secrets that are named.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::plugin_host::{
    capabilities::{is_secret_name, origin_of, secrets_named_in},
    sandbox::Description,
};

/// In a schema, the `format` of a text that is a URL to which requests go.
const TARGET_URL: &str = "target-url";
/// The same for the name of a secret.
const SECRET_NAME: &str = "secret-name";

/// Of each kind: more than anybody would grant.
const MOST: usize = 100;

/// Adds what a configuration names to what the plugin asks for anyway. What it leaves
/// out is as the schema's `default` says; without any, all is.
pub fn add_configured(description: &mut Description, config: Option<&Value>) {
    let mut named = Named::default();
    let nothing = Value::Object(Map::new());
    named.read_given(config.unwrap_or(&nothing), &description.config_schema);
    add(&mut description.asked.http, named.origins);
    add(&mut description.asked.secrets, named.secrets);
}

/// Settings that are URLs to which requests go.
pub(super) fn target_urls(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let are_targets = |(_, schema): &(&String, &Value)| {
        schema.get("format").and_then(Value::as_str) == Some(TARGET_URL)
    };
    let properties = properties.into_iter().flatten().filter(are_targets);
    properties.map(|(key, _)| key.as_str())
}

fn add(asked: &mut Vec<String>, named: BTreeSet<String>) {
    let news = named.into_iter().filter(|name| !asked.contains(name));
    let news: Vec<String> = news.take(MOST).collect();
    asked.extend(news);
}

#[derive(Default)]
struct Named {
    origins: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

impl Named {
    /// With defaults for what it leaves out.
    fn read_given(&mut self, value: &Value, schema: &Value) {
        if let Value::Object(fields) = value {
            let properties = schema.get("properties").and_then(Value::as_object);
            let left_out = properties
                .into_iter()
                .flatten()
                .filter(|(key, _)| !fields.contains_key(*key));
            for (_, schema) in left_out {
                if let Some(default) = schema.get("default") {
                    self.read(default, schema, Self::read_default);
                }
            }
        }
        self.read(value, schema, Self::read_given);
    }

    /// In a default nothing is left out: each of its parts is looked at once, however
    /// they are nested.
    fn read_default(&mut self, value: &Value, schema: &Value) {
        self.read(value, schema, Self::read_default);
    }

    fn read(&mut self, value: &Value, schema: &Value, inside: fn(&mut Self, &Value, &Value)) {
        let part = |key: &str| schema.get(key).unwrap_or(&Value::Null);
        match value {
            Value::String(text) => self.read_text(text, schema),
            Value::Array(items) => {
                for item in items {
                    inside(self, item, part("items"));
                }
            }
            Value::Object(fields) => {
                let (known, others) = (part("properties"), part("additionalProperties"));
                for (key, value) in fields {
                    inside(self, value, known.get(key).unwrap_or(others));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn read_text(&mut self, text: &str, schema: &Value) {
        let named = secrets_named_in(text).filter(|name| is_secret_name(name));
        self.secrets.extend(named.map(str::to_owned));
        match schema.get("format").and_then(Value::as_str) {
            Some(TARGET_URL) => self.origins.extend(origin_of(text)),
            Some(SECRET_NAME) if is_secret_name(text) => {
                self.secrets.insert(text.to_owned());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Description, add_configured};
    use crate::model::Asked;

    fn described(config_schema: Value) -> Description {
        Description {
            name: "hook".into(),
            version: "1.0.0".into(),
            description: String::new(),
            config_schema,
            asked: Asked::default(),
        }
    }

    fn asked(config: Option<&Value>) -> Asked {
        let config_schema = json!({"properties": {
            "url": {
                "type": "string",
                "format": "target-url",
                "default": "https://chat.example/hook/{secret:PATH}",
            },
            "sign_with": {
                "type": "array",
                "items": {"type": "string", "format": "secret-name"},
                "default": ["KEY"],
            },
            "headers": {"additionalProperties": {"type": "string"}},
        }});
        let mut description = described(config_schema);
        add_configured(&mut description, config);
        description.asked
    }

    #[test]
    fn what_is_left_out_is_as_the_schema_says() {
        for asked in [asked(None), asked(Some(&json!({})))] {
            assert_eq!(asked.http, ["https://chat.example"]);
            assert_eq!(asked.secrets, ["KEY", "PATH"]);
        }
    }

    #[test]
    fn what_is_configured_counts_instead() {
        let asked = asked(Some(&json!({
            "url": "http://10.0.0.7:8080/in?x=1",
            "sign_with": [],
            "headers": {"authorization": "Bearer {secret:TOKEN}, {secret:OTHER}{secret: }"},
        })));
        assert_eq!(asked.http, ["http://10.0.0.7:8080"]);
        assert_eq!(asked.secrets, ["OTHER", "TOKEN"]);
    }

    #[test]
    fn a_name_that_no_line_of_toml_could_have_is_not_asked_for() {
        let named = json!(["A = 1\ngrants.http", "", "a-b", "KEY_2"]);
        let asked = asked(Some(&json!({"url": "", "sign_with": named})));
        assert_eq!(asked.secrets, ["KEY_2"]);
    }

    #[test]
    fn defaults_in_defaults_are_no_work() {
        let mut schema = json!({"type": "string"});
        for _ in 0..60 {
            schema = json!({
                "default": [{}, {}],
                "items": {"properties": {"b": schema}},
            });
        }
        let mut description = Description {
            config_schema: json!({"properties": {"a": schema}}),
            ..described(Value::Null)
        };
        add_configured(&mut description, None);
        assert_eq!(description.asked, Asked::default());
    }

    #[test]
    fn what_is_no_url_for_http_asks_for_nothing() {
        for url in ["ftp://a.example", "a.example", "https://{secret:HOST}/"] {
            assert_eq!(asked(Some(&json!({"url": url}))).http, Vec::<String>::new());
        }
    }
}
