//! A configuration against its plugin's JSON Schema. The schema is the plugin's, and
//! nothing interrupts the host while it works on it: so what that can take is known
//! before.

use std::{collections::BTreeMap, time::Duration};

use jsonschema::Validator;
use serde_json::Value;

use crate::plugin_host::clip::clipped;

/// Schemas in a schema, with each `$ref` counted as what it stands for.
const PARTS_MAX: usize = 10_000;
/// How deep it is nested, through references too.
const DEPTH_MAX: usize = 200;
/// What one pattern may be compiled to.
const PATTERN_BYTES_MAX: usize = 64 << 10;
/// Of what is wrong with a configuration.
const ERRORS_TOLD: usize = 10;
/// Patterns in a schema; each takes up to a millisecond.
const PATTERNS_MAX: usize = 100;

/// More than any honest one takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is wrong with a schema, or with a configuration by it.
#[derive(Debug)]
pub enum Problem {
    Schema(String),
    Config(String),
}

/// On a thread of its own: should the bounds above not hold, nobody else waits.
pub async fn check_apart(schema: Value, config: Value) -> Result<(), Problem> {
    let checking = tokio::task::spawn_blocking(move || {
        let schema = compile(&schema).map_err(|why| Problem::Schema(clipped(why)))?;
        check(&config, &schema).map_err(Problem::Config)
    });
    match tokio::time::timeout(TIMEOUT, checking).await {
        Ok(Ok(checked)) => checked,
        Ok(Err(panic)) => Err(Problem::Schema(format!("checking by it panicked: {panic}"))),
        Err(_) => Err(Problem::Schema(format!(
            "checking by it takes longer than {} s",
            TIMEOUT.as_secs()
        ))),
    }
}

/// The error says what is wrong with the schema.
fn compile(schema: &Value) -> Result<Validator, String> {
    bound(schema)?;
    let patterns = jsonschema::PatternOptions::regex()
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX);
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| error.to_string())
}

/// The error says what is wrong with the configuration.
fn check(config: &Value, schema: &Validator) -> Result<(), String> {
    let errors: Vec<String> = schema
        .iter_errors(config)
        .take(ERRORS_TOLD)
        .map(|error| match error.instance_path().to_string() {
            at if at.is_empty() => error.to_string(),
            at => format!("{at}: {error}"),
        })
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(clipped(errors.join("; ")))
}

/// References make a schema larger than its text, each time twice as large if they
/// stand in pairs, or endless.
fn bound(schema: &Value) -> Result<(), String> {
    let mut size = Size {
        root: schema,
        sizes: BTreeMap::new(),
        depth: 0,
        patterns: 0,
    };
    size.of(schema)?;
    if size.patterns > PATTERNS_MAX {
        return Err(format!(
            "it has {} patterns, and {PATTERNS_MAX} are the most",
            size.patterns
        ));
    }
    Ok(())
}

struct Size<'s> {
    root: &'s Value,
    /// By what a reference says; `None` while it is being measured.
    sizes: BTreeMap<&'s str, Option<usize>>,
    depth: usize,
    patterns: usize,
}

impl<'s> Size<'s> {
    fn of(&mut self, part: &'s Value) -> Result<usize, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX}"));
        }
        let mut size = 1;
        match part {
            Value::Object(entries) => {
                for (key, value) in entries {
                    size += match (key.as_str(), value) {
                        ("$ref", Value::String(target)) => self.of_target(target)?,
                        ("$dynamicRef" | "$recursiveRef", _) => {
                            return Err(format!("`{key}` is not taken: write `$ref`"));
                        }
                        // What was evaluated below is found out again at each level.
                        ("unevaluatedProperties" | "unevaluatedItems", _) if self.depth > 1 => {
                            return Err(format!("`{key}` is taken at the beginning only"));
                        }
                        // References below it would be to parts of it.
                        ("$id", Value::String(_)) if self.depth > 1 => {
                            return Err("`$id` is taken at the beginning only".to_owned());
                        }
                        _ => self.of(value)?,
                    };
                    self.patterns += match (key.as_str(), value) {
                        ("pattern", Value::String(_)) => 1,
                        ("patternProperties", Value::Object(patterns)) => patterns.len(),
                        _ => 0,
                    };
                }
            }
            Value::Array(items) => {
                for item in items {
                    size += self.of(item)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        if size > PARTS_MAX {
            return Err(format!(
                "it has more than {PARTS_MAX} parts, with each `$ref` counted as what it \
                 stands for"
            ));
        }
        self.depth -= 1;
        Ok(size)
    }

    fn of_target(&mut self, target: &'s str) -> Result<usize, String> {
        match self.sizes.get(target) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(format!("`$ref` to `{target}` goes round in a circle")),
            None => {}
        }
        let root = self.root;
        let pointer = target.strip_prefix('#');
        let found = pointer.and_then(|pointer| root.pointer(pointer));
        let Some(found) = found else {
            return Err(format!(
                "`$ref` to `{target}` leads nowhere: a reference is `#/` and a path inside \
                 the schema"
            ));
        };
        self.sizes.insert(target, None);
        let size = self.of(found)?;
        self.sizes.insert(target, Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{check, compile};

    fn refused(schema: &Value) -> String {
        compile(schema).expect_err("it is refused")
    }

    #[test]
    fn a_configuration_is_checked_through_references() {
        let schema = json!({
            "$defs": {"Name": {"type": "string", "pattern": "^[a-z]+$"}},
            "properties": {"a": {"$ref": "#/$defs/Name"}, "b": {"$ref": "#/$defs/Name"}},
        });
        let schema = compile(&schema).expect("a schema");
        assert_eq!(check(&json!({"a": "x", "b": "y"}), &schema), Ok(()));
        let wrong = check(&json!({"b": 1}), &schema);
        assert!(wrong.is_err_and(|why| why.starts_with("/b: ")));
    }

    #[test]
    fn a_schema_that_doubles_with_each_reference_is_refused() {
        let mut defs = json!({"d0": {}});
        for level in 1..64 {
            let below = json!({"$ref": format!("#/$defs/d{}", level - 1)});
            defs[format!("d{level}")] = json!({"allOf": [below, below]});
        }
        let bomb = json!({"$defs": defs, "$ref": "#/$defs/d63"});
        assert!(refused(&bomb).contains("10000 parts"));
    }

    #[test]
    fn a_schema_without_an_end_is_refused() {
        let round = json!({"$ref": "#"});
        assert!(refused(&round).contains("in a circle"));
        let tree = json!({"properties": {"a": {"$ref": "#"}}});
        assert!(refused(&tree).contains("in a circle"));
        let mut chain = json!({});
        for link in 1..10_000 {
            chain[format!("d{link}")] = json!({"$ref": format!("#/$defs/d{}", link - 1)});
        }
        chain["d0"] = json!({});
        let chain = json!({"$ref": "#/$defs/d9999", "$defs": chain});
        assert!(refused(&chain).contains("deeper than 200"));
        let elsewhere = json!({"$ref": "https://example.org/schema"});
        assert!(refused(&elsewhere).contains("leads nowhere"));
        assert!(refused(&json!({"$dynamicRef": "#a"})).contains("write `$ref`"));
    }

    #[test]
    fn a_part_that_says_to_be_a_schema_of_its_own_is_refused() {
        let within = json!({"$id": "https://a.example/b", "$ref": "#/$defs/d0"});
        let schema = json!({"$id": "https://a.example/", "$defs": {"d0": {}}, "allOf": [within]});
        assert!(refused(&schema).contains("`$id`"));
        let named_so = json!({"properties": {"$id": {"type": "string"}}});
        assert!(compile(&named_so).is_ok());
    }

    #[test]
    fn what_is_evaluated_again_at_each_level_is_refused() {
        let mut nested = json!({});
        for _ in 0..40 {
            nested = json!({"allOf": [nested], "unevaluatedProperties": {}});
        }
        assert!(refused(&nested).contains("at the beginning only"));
        let once = json!({"properties": {"a": {}}, "unevaluatedProperties": false});
        let once = compile(&once).expect("a schema");
        assert!(check(&json!({"b": 1}), &once).is_err());
    }

    #[test]
    fn patterns_are_few_and_small() {
        let large = json!({"properties": {"a": {"pattern": "((a{100}){100}){100}"}}});
        assert!(refused(&large).contains("a{100}"));
        let many: Vec<Value> = (0..200)
            .map(|n| json!({"pattern": n.to_string()}))
            .collect();
        assert!(refused(&json!({"anyOf": many})).contains("200 patterns"));
    }
}
