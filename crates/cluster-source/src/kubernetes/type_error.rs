//! Explains in terms of YAML and JSON why a value does not match the schema of its kind. serde's own messages name Rust types.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// The first part of a value with an unexpected type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeError {
    /// Its path from the root of the value; empty for the value as a whole.
    pub(crate) field: String,
    /// For example `expected an integer, found 80.5`.
    pub(crate) what: String,
}

/// Why a value cannot be decoded. `None` if it can.
pub(crate) fn type_error<T: DeserializeOwned>(value: &Value) -> Option<TypeError> {
    let error = serde_path_to_error::deserialize::<_, T>(Plain(value)).err()?;
    let field = Some(error.path().to_string()).filter(|path| path != ".").unwrap_or_default();
    Some(TypeError { field, what: error.into_inner().0 })
}

#[derive(Debug)]
struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Message {}

impl de::Error for Message {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("expected {}, found {}", describe_expected(expected), describe_found(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// Translates serde's names for the types of the fields in [`object`](super::object).
fn describe_expected(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "i64" => "an integer".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        name if name.starts_with("struct ") => "an object".to_owned(),
        name => name.to_owned(),
    }
}

fn describe_found(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// Decodes a value, with [`Message`] as the type of errors.
#[derive(Clone, Copy)]
struct Plain<'de>(&'de Value);

impl<'de> IntoDeserializer<'de, Message> for Plain<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Plain<'de> {
    type Error = Message;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Message> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => visitor.visit_i64(number),
                (None, Some(number)) => visitor.visit_u64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Plain))),
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.as_str(), Plain(value)));
                visitor.visit_map(MapDeserializer::new(members))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Message> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::object::{EndpointSlice, Service};

    fn error<T: DeserializeOwned>(value: &Value) -> Option<(String, String)> {
        type_error::<T>(value).map(|TypeError { field, what }| (field, what))
    }

    #[test]
    fn a_value_of_another_type_is_named_in_the_terms_of_yaml() {
        for (value, field, what) in [
            (
                json!({"spec": {"ports": [{"port": "http"}]}}),
                "spec.ports[0].port",
                "expected an integer, found \"http\"",
            ),
            (json!({"spec": {"ports": [{"port": 80.5}]}}), "spec.ports[0].port", "expected an integer, found 80.5"),
            (json!({"spec": {"ports": [{"port": true}]}}), "spec.ports[0].port", "expected an integer, found true"),
            (
                json!({"spec": {"ports": [{"port": u64::MAX}]}}),
                "spec.ports[0].port",
                "expected an integer, found 18446744073709551615",
            ),
            (json!({"spec": {"ports": {"port": 80}}}), "spec.ports", "expected a list, found an object"),
            (json!({"spec": {"clusterIP": 10.96}}), "spec.clusterIP", "expected a string, found 10.96"),
            (json!({"spec": "none"}), "spec", "expected an object, found \"none\""),
            (json!({"metadata": {"labels": []}}), "metadata.labels", "expected an object, found a list"),
            (json!({"metadata": {"labels": {"a": 1}}}), "metadata.labels.a", "expected a string, found 1"),
            (json!({"spec": {"externalIPs": [null]}}), "spec.externalIPs[0]", "expected a string, found null"),
            (json!(7), "", "expected an object, found 7"),
        ] {
            assert_eq!(error::<Service>(&value), Some((field.to_owned(), what.to_owned())), "{value}");
        }
        let slice = json!({"endpoints": [{"conditions": {"ready": "maybe"}}]});
        let expected =
            ("endpoints[0].conditions.ready".to_owned(), "expected true or false, found \"maybe\"".to_owned());
        assert_eq!(error::<EndpointSlice>(&slice), Some(expected));
    }

    #[test]
    fn a_value_of_the_schema_has_no_error() {
        let service =
            json!({"metadata": {"name": "a", "labels": null}, "spec": {"ports": [{"port": 80}]}, "status": null});
        assert_eq!(error::<Service>(&service), None);
    }
}
