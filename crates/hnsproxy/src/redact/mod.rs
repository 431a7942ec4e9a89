//! Removes secrets from the parts of a bundle: from documents by field name, from the kubeconfig all fields except those known not to be
//! secrets, and from all texts known values and text in the form of a secret.

mod known;
mod kubeconfig;
mod scan;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use known::Known;
pub use kubeconfig::Kubeconfig;

/// The text that replaces a secret.
pub const REMOVED: &str = "(removed)";

/// Parts of names of fields, flags and variables whose values are secrets, in lower case and without separators.
const SECRET_NAMES: [&str; 16] = [
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
    "passphrase",
    "connectionstring",
    "sharedkey",
    "signingkey",
    "encryptionkey",
    "cookie",
];
/// The last words of such names, which are also parts of other words.
const SECRET_WORDS: [&str; 4] = ["pass", "pwd", "jwt", "bearer"];
/// The ends of names of secrets that can be a number.
const NUMBERS: [&str; 4] = ["password", "passwd", "passphrase", "pin"];

/// Values that must not be in a bundle.
#[derive(Debug, Default)]
pub struct Secrets {
    known: Known,
}

impl Secrets {
    pub fn of(values: impl IntoIterator<Item = String>) -> Self {
        Self { known: Known::of(values) }
    }

    /// The text without known values, and without what has the form of a secret.
    pub fn text(&self, text: &str) -> String {
        scan::without_secrets(&self.known.removed_from(text))
    }

    /// Removes the values of fields with the name of a secret, and applies [`text`](Self::text) to all other strings.
    pub fn document(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => self.items(items),
            Value::Object(members) => self.members(members),
            other => other,
        }
    }

    /// The items of a list. In a list of arguments, the value of a flag is the next item.
    fn items(&self, items: Vec<Value>) -> Value {
        let mut is_value = false;
        let item = |item: Value| match item {
            Value::String(_) if is_value => {
                is_value = false;
                REMOVED.into()
            }
            item => {
                is_value = item.as_str().is_some_and(is_secret_flag);
                self.document(item)
            }
        };
        items.into_iter().map(item).collect()
    }

    fn members(&self, members: Map<String, Value>) -> Value {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        // A variable, or a Secret of Kubernetes.
        let has_secret_value = text("name").or(text("key")).is_some_and(is_secret_name);
        let is_secret = text("kind") == Some("Secret");
        let member = |(name, value): (String, Value)| {
            let is_removed = match name.as_str() {
                "value" => has_secret_value,
                "data" | "stringData" => is_secret,
                name => is_secret_name(name),
            };
            let value = match value {
                Value::Object(members) if is_removed && is_secret => {
                    members.into_iter().map(|(name, value)| (name, without_texts(value))).collect()
                }
                // Its fields have names of their own.
                Value::Object(members) => self.members(members),
                Value::Number(_) if is_removed && is_number_name(&name) => REMOVED.into(),
                value if is_removed => without_texts(value),
                value => self.document(value),
            };
            (self.text(&name), value)
        };
        Value::Object(members.into_iter().map(member).collect())
    }
}

/// The value with [`REMOVED`] for each text that is not empty: an empty one says that there is none.
fn without_texts(value: Value) -> Value {
    match value {
        Value::String(text) if !text.is_empty() => REMOVED.into(),
        Value::Array(items) => items.into_iter().map(without_texts).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, without_texts(value))).collect(),
        other => other,
    }
}

/// The password of a URL, which may have no scheme: as it is, and without escapes.
pub fn password(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Some((userinfo, _)) = rest.rsplit_once('@') else { return Vec::new() };
    let password = userinfo.split_once(':').map_or(userinfo, |(_, password)| password);
    let unescaped = percent_decode_str(password).decode_utf8_lossy();
    let unescaped = Some(unescaped).filter(|unescaped| *unescaped != password).map(Cow::into_owned);
    [password.to_owned()].into_iter().chain(unescaped).collect()
}

/// Whether a field, flag or variable of this name has a secret as its value.
pub fn is_secret_name(name: &str) -> bool {
    let letters = letters(name);
    let last = name.rsplit(|one: char| !one.is_ascii_alphanumeric()).next().unwrap_or_default();
    SECRET_NAMES.iter().any(|part| letters.contains(part))
        || SECRET_WORDS.iter().any(|word| word.eq_ignore_ascii_case(last))
}

/// Whether an argument is a flag whose value is a secret, and the next argument.
fn is_secret_flag(argument: &str) -> bool {
    argument.starts_with('-') && !argument.contains('=') && is_secret_name(argument)
}

/// Whether a number can be the value of a secret of this name. Most numbers beside the name of a secret are times.
fn is_number_name(name: &str) -> bool {
    let letters = letters(name);
    NUMBERS.iter().any(|end| letters.ends_with(end))
}

/// The name in lower case, without separators.
fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|one| one.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_password_of_a_url_is_found() {
        let urls = ["http://a:p@ss@10.0.0.1", "https://token@h/", "https://h/a@b?", "a:p%40s@proxy:3128", "plain"];
        let expected: [&[&str]; 5] = [&["p@ss"], &["token"], &["h/a"], &["p%40s", "p@s"], &[]];
        assert_eq!(urls.map(password), expected);
    }

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
        let document = json!({"token": "x1", "clientKeyData": "x2", "tokens": {"user_password": "x3"}, "passwd": ["x4"], "name": "web",
            "empty_token": "", "token_seconds": 3600, "db-password": 1234});
        let expected = json!({"token": REMOVED, "clientKeyData": REMOVED, "tokens": {"user_password": REMOVED}, "passwd": [REMOVED], "name": "web",
            "empty_token": "", "token_seconds": 3600, "db-password": REMOVED});
        assert_eq!(Secrets::default().document(document), expected);
    }

    #[test]
    fn values_beside_their_name_are_removed() {
        let document = json!({"args": ["get", "--token", "x1", "--client-secret=x2", "-v", "7"],
            "env": [{"name": "API_TOKEN", "value": "x3"}, {"name": "REGION", "value": "eu"}, {"key": "PWD", "value": "x4"}],
            "object": {"kind": "Secret", "metadata": {"name": "web"}, "data": {"a": "x5"}, "stringData": {"b": "x6"}},
            "headers": {"X-Api-Token": ["x7"], "Cookie": ["x8"]}});
        let expected = json!({"args": ["get", "--token", REMOVED, format!("--client-secret={REMOVED}"), "-v", "7"],
            "env": [{"name": "API_TOKEN", "value": REMOVED}, {"name": "REGION", "value": "eu"}, {"key": "PWD", "value": REMOVED}],
            "object": {"kind": "Secret", "metadata": {"name": "web"}, "data": {"a": REMOVED}, "stringData": {"b": REMOVED}},
            "headers": {"X-Api-Token": [REMOVED], "Cookie": [REMOVED]}});
        assert_eq!(Secrets::default().document(document), expected);
    }
}
