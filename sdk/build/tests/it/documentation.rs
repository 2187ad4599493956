//! The configurations that the documentation tells people to write.

use std::fs;

use serde_json::Value;

use crate::repository;

const DOCUMENTS: [&str; 5] = [
    "plugins/slack/README.md",
    "plugins/webhook/README.md",
    "plugins/rules/README.md",
    "plugins/image-info/README.md",
    "examples/README.md",
];

/// The TOML of a document that configures plugins.
fn configurations(document: &str) -> Vec<toml::Table> {
    let text = fs::read_to_string(repository().join(document)).expect(document);
    text.split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a first part"))
        .map(|block| block.parse().expect(block))
        .collect()
}

/// The schema of the plugin in a `file` of the configuration.
fn schema_of(file: &str) -> Value {
    let folder = match file.strip_prefix("builtin:") {
        Some(name) => format!("plugins/{name}"),
        None => format!("examples/plugins/{}", file.trim_end_matches(".wasm")),
    };
    let path = repository().join(folder).join("config.schema.json");
    serde_json::from_slice(&fs::read(path).expect(file)).expect("JSON")
}

#[test]
fn each_documented_configuration_passes_its_schema() {
    let mut checked = 0;
    for document in DOCUMENTS {
        for configuration in configurations(document) {
            for (name, plugin) in configuration["plugin"].as_table().expect("plugins") {
                let schema = schema_of(plugin["file"].as_str().expect("a file"));
                let validator = jsonschema::draft202012::new(&schema).expect("a valid schema");
                let empty = toml::Value::Table(toml::Table::new());
                let config = plugin.get("config").unwrap_or(&empty);
                let config = serde_json::to_value(config).expect("JSON");
                if let Err(error) = validator.validate(&config) {
                    panic!(
                        "{document}: plugin {name}: {}: {error}",
                        error.instance_path()
                    );
                }
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 7, "each plugin is documented once");
}
