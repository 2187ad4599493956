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

/// Of a configuration, as `describe` gives it.
pub fn schema(json: &str) -> Result<Value, String> {
    let schema =
        object(json).map_err(|problem| format!("the `config-schema` of `describe`: {problem}"))?;
    Ok(Value::Object(schema))
}
