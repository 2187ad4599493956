//! JSON that crosses as text.

use serde_json::{Map, Value};

/// The error says what was expected.
pub fn object(json: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("expected a JSON object".into()),
        Err(error) => Err(format!("expected a JSON object: {error}")),
    }
}

/// What is shown of a plugin, and held against each configuration.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// Of a configuration, as `describe` gives it.
pub fn schema(json: &str) -> Result<Value, String> {
    if json.len() > SCHEMA_BYTES_MAX {
        return Err(format!(
            "the `config-schema` of `describe` is longer than {} KiB",
            SCHEMA_BYTES_MAX >> 10
        ));
    }
    let schema =
        object(json).map_err(|problem| format!("the `config-schema` of `describe`: {problem}"))?;
    Ok(Value::Object(schema))
}
