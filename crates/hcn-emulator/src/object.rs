//! Reads a document of a caller, which must be a JSON object.

use serde_json::Value;

use crate::rules::{self, Rule};

pub(crate) fn parse(text: &str) -> Result<Value, Rule> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(Value::Object(members)),
        _ => Err(rules::INVALID_JSON),
    }
}
