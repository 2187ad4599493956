use serde_json::json;

use crate::bindings::common::exports::tiny_forge::plugin::plugin as wire;

/// What a plugin says about itself, and what it asks the operator for.
///
/// ```
/// use tiny_forge_plugin::{Description, description};
///
/// let description: Description = description!("Posts events to ntfy")
///     .config_schema(r#"{"type":"object","required":["topic"],"properties":{"topic":{"type":"string"}}}"#)
///     .http("https://ntfy.sh")
///     .secret("NTFY_TOKEN");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Short name, e.g. `slack`.
    pub name: String,
    pub version: String,
    /// One sentence for people.
    pub description: String,
    /// JSON Schema (2020-12) of the configuration, as JSON text.
    pub config_schema: String,
    /// Origins it wants to reach, e.g. `https://hooks.slack.com`.
    pub http: Vec<String>,
    /// Names of the secrets that it uses in `{secret:NAME}` or [`crate::sign`].
    pub secrets: Vec<String>,
    /// Whether it keeps state in [`crate::store`].
    pub store: bool,
}

impl Description {
    /// A plugin that takes any configuration and asks for nothing. Most use
    /// [`description!`](crate::description!), which takes name and version from
    /// the crate.
    pub fn new(name: &str, version: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            description: description.to_owned(),
            config_schema: json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
            })
            .to_string(),
            http: Vec::new(),
            secrets: Vec::new(),
            store: false,
        }
    }

    /// Sets the JSON Schema (2020-12) of the configuration, as JSON text. The
    /// host checks a configuration against it before the plugin sees it, and the
    /// dashboard shows its descriptions and defaults. `"format": "target-url"` marks
    /// URLs that it wants to reach, `"format": "secret-name"` names of secrets.
    #[must_use]
    pub fn config_schema(mut self, schema: &str) -> Self {
        schema.clone_into(&mut self.config_schema);
        self
    }

    /// Asks for an origin, e.g. `https://hooks.slack.com`, however it is configured.
    #[must_use]
    pub fn http(mut self, origin: &str) -> Self {
        self.http.push(origin.to_owned());
        self
    }

    /// Asks for a secret by name, however the plugin is configured.
    #[must_use]
    pub fn secret(mut self, name: &str) -> Self {
        self.secrets.push(name.to_owned());
        self
    }

    /// Asks for durable key-value pairs.
    #[must_use]
    pub fn store(mut self) -> Self {
        self.store = true;
        self
    }
}

/// A [`Description`] with the crate's name (without `tiny-forge-plugin-`) and
/// version, and the sentence given, or else the crate's description.
#[macro_export]
macro_rules! description {
    () => {
        $crate::description!(env!("CARGO_PKG_DESCRIPTION"))
    };
    ($description:expr $(,)?) => {{
        let name = env!("CARGO_PKG_NAME");
        let name = name.strip_prefix("tiny-forge-plugin-").unwrap_or(name);
        $crate::Description::new(name, env!("CARGO_PKG_VERSION"), $description)
    }};
}

impl From<Description> for wire::Description {
    fn from(description: Description) -> Self {
        let Description {
            name,
            version,
            description,
            config_schema,
            http,
            secrets,
            store,
        } = description;
        let capability = |name: &str, values| wire::Capability {
            name: name.to_owned(),
            values,
        };
        let listed =
            |name, values: Vec<String>| (!values.is_empty()).then(|| capability(name, values));
        let store = store.then(|| capability("store", Vec::new()));
        Self {
            name,
            version,
            description,
            config_schema,
            capabilities: [listed("http", http), listed("secrets", secrets), store]
                .into_iter()
                .flatten()
                .collect(),
        }
    }
}
