//! Removes the secrets from a kubeconfig. Only fields that are known not to be secrets keep their values.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use cluster_source::cluster::hide_userinfo;
use cluster_source::yaml_options;
use serde_json::{Map, Value};

use super::{REMOVED, is_secret_flag, is_secret_name, password};

/// The fields below `users[].user` that keep their values.
const USER_FIELDS: [&str; 7] =
    ["as", "as-groups", "as-uid", "client-certificate", "client-key", "tokenFile", "username"];
/// The fields below `exec` that keep their values. Variables below `env` keep only their names.
const EXEC_FIELDS: [&str; 4] = ["apiVersion", "command", "interactiveMode", "provideClusterInfo"];
/// The fields below `clusters[].cluster` that keep their values. User and password are removed from URLs.
const CLUSTER_FIELDS: [&str; 6] = [
    "certificate-authority",
    "disable-compression",
    "insecure-skip-tls-verify",
    "proxy-url",
    "server",
    "tls-server-name",
];
/// The fields below `users[].user` that name files with secrets.
const SECRET_FILES: [&str; 2] = ["client-key", "tokenFile"];
/// The minimum length in bytes of plugin arguments and variables that are searched for in other texts.
const MIN_ARGUMENT: usize = 16;

/// A kubeconfig without its secrets, and these secrets.
#[derive(Debug, Default)]
pub struct Kubeconfig {
    pub document: Value,
    /// The values that were removed.
    pub secrets: Vec<String>,
    /// The files that contain secrets.
    pub secret_files: Vec<PathBuf>,
}

impl Kubeconfig {
    /// # Errors
    /// If the file cannot be read, or is not YAML. The error contains no text of the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = cluster_source::read_text(path).map_err(|error| error.to_string())?;
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, yaml_options(text.len()))
            .map_err(|_| "invalid YAML".to_owned())?;
        Ok(Self::of(documents.into_iter().next().unwrap_or_default(), path.parent().unwrap_or(Path::new(""))))
    }

    fn of(document: Value, folder: &Path) -> Self {
        let mut kubeconfig = Self::default();
        let Value::Object(members) = document else { return kubeconfig };
        let known = |(name, value): (String, Value)| {
            let value = match name.as_str() {
                "apiVersion" | "kind" | "current-context" | "contexts" => value,
                "clusters" => kubeconfig.entries(value, "cluster", |found, fields| found.cluster(fields)),
                "users" => kubeconfig.entries(value, "user", |found, fields| found.user(fields, folder)),
                _ => kubeconfig.remove(value),
            };
            (name, value)
        };
        let document = members.into_iter().map(known).collect();
        kubeconfig.document = Value::Object(document);
        kubeconfig
    }

    /// A list of names with entries.
    fn entries(&mut self, list: Value, entry: &str, keep: impl Fn(&mut Self, Map<String, Value>) -> Value) -> Value {
        let Value::Array(items) = list else { return self.remove(list) };
        let items = items.into_iter().map(|item| {
            self.fields(item, |found, name, value| match value {
                Value::Object(fields) if name == entry => keep(found, fields),
                value if name == "name" => value,
                value => found.remove(value),
            })
        });
        items.collect()
    }

    fn cluster(&mut self, fields: Map<String, Value>) -> Value {
        self.fields(Value::Object(fields), |found, name, value| match value {
            Value::String(url) if ["server", "proxy-url"].contains(&name) => found.url(&url),
            value if CLUSTER_FIELDS.contains(&name) => value,
            // Certificates are not secret. They are removed because they are long.
            Value::String(_) if name == "certificate-authority-data" => REMOVED.into(),
            value => found.remove(value),
        })
    }

    fn user(&mut self, fields: Map<String, Value>, folder: &Path) -> Value {
        let files = SECRET_FILES.iter().filter_map(|name| fields.get(*name)?.as_str());
        self.secret_files.extend(files.filter(|path| !path.is_empty()).map(|path| folder.join(path)));
        let key = fields.get("client-key-data").and_then(Value::as_str).and_then(|key| BASE64.decode(key).ok());
        self.secrets.extend(key.map(|key| String::from_utf8_lossy(&key).into_owned()));
        self.fields(Value::Object(fields), |found, name, value| match name {
            "exec" => found.exec(value),
            "client-certificate-data" => REMOVED.into(),
            "auth-provider" => found.fields(value, |found, name, value| match name {
                "name" => value,
                _ => found.remove(value),
            }),
            _ if USER_FIELDS.contains(&name) => value,
            _ => found.remove(value),
        })
    }

    fn exec(&mut self, value: Value) -> Value {
        self.fields(value, |found, name, value| match value {
            value if EXEC_FIELDS.contains(&name) => value,
            Value::Array(variables) if name == "env" => {
                let variables = variables.into_iter().map(|variable| {
                    let is_secret = variable.get("name").and_then(Value::as_str).is_some_and(is_secret_name);
                    found.fields(variable, |found, name, value| match name {
                        "name" => value,
                        _ if is_secret => found.remove(value),
                        _ => found.remove_long(value),
                    })
                });
                variables.collect()
            }
            Value::Array(arguments) if name == "args" => {
                let mut is_value = false;
                let arguments = arguments.into_iter().map(|argument| {
                    let is_secret = std::mem::replace(&mut is_value, argument.as_str().is_some_and(is_secret_flag));
                    found.argument(argument, is_secret)
                });
                arguments.collect()
            }
            value => found.remove_long(value),
        })
    }

    /// An argument of a plugin, which is a secret, can have one behind the name of a flag, or in a URL.
    fn argument(&mut self, argument: Value, is_secret: bool) -> Value {
        if is_secret {
            return self.remove(argument);
        }
        let text = argument.as_str().unwrap_or_default();
        let flag = text.split_once('=').filter(|(flag, _)| is_secret_name(flag)).map(|(_, value)| value.to_owned());
        self.secrets.extend(flag.into_iter().chain(password(text)));
        self.remove_long(argument)
    }

    /// Changes the fields of an object. Anything else is removed.
    fn fields(&mut self, value: Value, mut change: impl FnMut(&mut Self, &str, Value) -> Value) -> Value {
        let Value::Object(fields) = value else { return self.remove(value) };
        let fields = fields.into_iter().map(|(name, value)| {
            let value = change(self, &name, value);
            (name, value)
        });
        Value::Object(fields.collect())
    }

    /// Removes the user, the password and the query from a URL.
    fn url(&mut self, url: &str) -> Value {
        let (base, query) = url.split_once(['?', '#']).unwrap_or((url, ""));
        self.secrets.extend(password(base));
        // A log can have a single parameter.
        let parameters = query.split(['&', '#']).filter_map(|parameter| parameter.split_once('='));
        self.secrets.extend(parameters.map(|(_, value)| value.to_owned()).filter(|value| value.len() >= MIN_ARGUMENT));
        self.secrets.push(query.to_owned());
        hide_userinfo(base).into()
    }

    /// Removes all strings in a value, and records them as secrets.
    fn remove(&mut self, value: Value) -> Value {
        self.replace(value, 0)
    }

    /// Like [`remove`](Self::remove), for arguments and variables. Short ones are not recorded: most, such as the name of a region, are not
    /// secret, and occur in other texts.
    fn remove_long(&mut self, value: Value) -> Value {
        self.replace(value, MIN_ARGUMENT)
    }

    fn replace(&mut self, value: Value, min: usize) -> Value {
        match value {
            Value::String(text) => {
                self.secrets.extend(Some(text).filter(|text| text.len() >= min));
                REMOVED.into()
            }
            Value::Array(items) => items.into_iter().map(|item| self.replace(item, min)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.into_iter().map(|(name, value)| (name, self.replace(value, min))).collect())
            }
            Value::Number(number) => self.replace(number.to_string().into(), min),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_fields_that_are_no_secrets_keep_their_values() {
        let kubeconfig = Kubeconfig::of(
            json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "c", "preferences": {"x": "s-preference"},
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": "https://a:s-server@10.0.0.1:6443", "certificate-authority-data": "Q0E=",
                    "proxy-url": "http://a:s-proxy@10.0.0.2", "extensions": [{"name": "e", "extension": {"k": "s-extension"}}]}}],
                "users": [{"name": "u", "user": {"token": "s-token", "tokenFile": "token", "password": "s-password", "username": "admin",
                    "client-key-data": "s-key", "client-key": "/k/key", "new-field": "s-new",
                    "exec": {"command": "get", "args": ["get", "s-argument-012345"], "env": [{"name": "N", "value": "s-variable-012345"}]},
                    "auth-provider": {"name": "oidc", "config": {"id-token": "s-id"}}}}],
            }),
            Path::new("/k"),
        );
        let removed = |count| vec![REMOVED; count];
        assert_eq!(
            kubeconfig.document,
            json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "c", "preferences": {"x": REMOVED},
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": "https://***@10.0.0.1:6443", "certificate-authority-data": REMOVED,
                    "proxy-url": "http://***@10.0.0.2", "extensions": [{"name": REMOVED, "extension": {"k": REMOVED}}]}}],
                "users": [{"name": "u", "user": {"token": REMOVED, "tokenFile": "token", "password": REMOVED, "username": "admin",
                    "client-key-data": REMOVED, "client-key": "/k/key", "new-field": REMOVED,
                    "exec": {"command": "get", "args": removed(2), "env": [{"name": "N", "value": REMOVED}]},
                    "auth-provider": {"name": "oidc", "config": {"id-token": REMOVED}}}}],
            })
        );
        let mut secrets: Vec<_> = kubeconfig.secrets.iter().filter(|secret| secret.starts_with("s-")).collect();
        secrets.sort();
        let expected = [
            "s-argument-012345",
            "s-extension",
            "s-id",
            "s-key",
            "s-new",
            "s-password",
            "s-preference",
            "s-proxy",
            "s-server",
            "s-token",
            "s-variable-012345",
        ];
        assert_eq!(secrets, expected.iter().collect::<Vec<_>>());
        assert_eq!(kubeconfig.secret_files, [Path::new("/k/key"), Path::new("/k/token")]);
    }

    #[test]
    fn secrets_are_found_in_any_form_that_a_field_can_have() {
        let text = "users:\n- name: u\n  user:\n    token: |\n      s-block\n    password: 1234567\n    exec:\n      command: get\n      \
                    args: [--token, s-argument, --client-secret=s-flag, 'https://a:s-url@h']\n      env: [{name: API_TOKEN, value: s-variable}, {name: REGION, value: s-region}]\n\
                    clusters:\n- name: c\n  cluster: {server: 'https://h/#s-fragment', proxy-url: 'a:s%2Fproxy@h'}\n";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        let Kubeconfig { document, secrets, .. } = Kubeconfig::read(&file).unwrap();
        let mut secrets: Vec<_> =
            secrets.iter().map(|secret| secret.trim()).filter(|secret| !secret.is_empty()).collect();
        secrets.sort_unstable();
        let expected = [
            "--client-secret=s-flag",
            "1234567",
            "https://a:s-url@h",
            "s%2Fproxy",
            "s-argument",
            "s-block",
            "s-flag",
            "s-fragment",
            "s-url",
            "s-variable",
            "s/proxy",
        ];
        assert_eq!(secrets, expected);
        let document = document.to_string();
        assert!(!document.contains("s-") && !document.contains("1234567") && !document.contains("s%2F"), "{document}");
    }
}
