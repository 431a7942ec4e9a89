//! Removes secrets from what a bundle has: from documents by the names of their fields, from a kubeconfig by the fields that are no secrets, and from
//! all texts by known values and by the forms that secrets have.

mod kubeconfig;
mod scan;

use std::collections::BTreeSet;

use serde_json::Value;

pub use kubeconfig::Kubeconfig;

/// What stands for a secret.
pub const REMOVED: &str = "(removed)";

/// Shorter values are not searched for: they are parts of other texts.
const MIN_LENGTH: usize = 6;

/// Parts of names of fields, flags and variables whose values are secrets, in lower case and without separators.
const SECRET_NAMES: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "authorization",
    "apikey",
    "accesskey",
    "privatekey",
    "clientkeydata",
];

/// Values that must not be in a bundle.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The longest first: a value can be part of another one.
    values: Vec<String>,
}

impl Secrets {
    /// Each value is searched for as it is, and each of its lines: a key has several lines, and a log has them one by one.
    pub fn of(values: impl IntoIterator<Item = String>) -> Self {
        let values = values.into_iter().collect::<Vec<_>>();
        let parts = values.iter().flat_map(|value| value.lines().chain([value.as_str()]));
        // The frame of a key is no secret.
        let parts = parts.map(str::trim).filter(|part| part.len() >= MIN_LENGTH && !part.starts_with("-----"));
        let parts: BTreeSet<&str> = parts.collect();
        let mut values: Vec<_> = parts.into_iter().map(str::to_owned).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// The text without known values, and without what has the form of a secret.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), REMOVED);
            }
        }
        scan::without_secrets(&text)
    }

    /// The document without the values of fields whose names are those of secrets, and each of its texts as [`text`](Self::text) returns it.
    pub fn document(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.document(item)).collect(),
            Value::Object(members) => {
                let member = |(name, value): (String, Value)| {
                    let value = match value {
                        // An empty value says that there is none.
                        Value::String(text) if !text.is_empty() && is_secret_name(&name) => REMOVED.into(),
                        value => self.document(value),
                    };
                    (self.text(&name), value)
                };
                Value::Object(members.into_iter().map(member).collect())
            }
            other => other,
        }
    }
}

/// Whether a field, flag or variable of this name has a secret as its value.
pub fn is_secret_name(name: &str) -> bool {
    let name: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_values_are_removed_wherever_they_are() {
        let secrets = Secrets::of(["hunter22".to_owned(), "hunter22-longer".to_owned(), "a".to_owned()]);
        assert_eq!(secrets.text("a hunter22-longer, hunter22"), "a (removed), (removed)");
        let document = secrets.document(json!({"hunter22": ["x hunter22"], "n": 7, "empty": null}));
        assert_eq!(document, json!({"(removed)": ["x (removed)"], "n": 7, "empty": null}));
    }

    #[test]
    fn each_line_of_a_key_is_removed() {
        let secrets = Secrets::of(["-----BEGIN KEY-----\nAAAABBBB\nCCCCDDDD\n-----END KEY-----\n".to_owned()]);
        assert_eq!(secrets.text("one AAAABBBB two CCCCDDDD"), "one (removed) two (removed)");
    }

    #[test]
    fn fields_with_the_name_of_a_secret_are_removed() {
        let document = json!({"token": "x1", "clientKeyData": "x2", "tokens": {"user_password": "x3"}, "passwd": ["x4"], "name": "web"});
        let expected = json!({"token": REMOVED, "clientKeyData": REMOVED, "tokens": {"user_password": REMOVED}, "passwd": ["x4"], "name": "web"});
        assert_eq!(Secrets::default().document(document), expected);
    }
}
