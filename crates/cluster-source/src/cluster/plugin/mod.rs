//! Credential plugins: programs that print a token or a client certificate, named in `users[].user.exec` of a kubeconfig.
//!
//! The protocol is that of client-go:
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>. kube has an implementation, which
//! is not used: its errors contain what the plugin printed, it has no time limit, and the plugin outlives the program.
//!
//! A plugin prints credentials, and its error messages may quote them. So nothing that it prints is shown, and neither are its arguments
//! and environment: a message has the command, the exit status and the number of bytes printed. There is no redacted form at any log
//! level, because nobody knows which part of the text is secret if the plugin has failed: a token has no syntax.

mod answer;
mod error;
mod groups;
mod process;
mod runner;

use std::collections::HashMap;
use std::time::Duration;

use kube::config::{ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use serde_json::json;

pub(super) use error::PluginError;
pub use groups::kill_plugins;
pub(super) use runner::Runner;

/// After this time, a plugin that still runs is an outage. A plugin that asks a cloud service takes a few seconds.
const REPORT_AFTER: Duration = Duration::from_secs(10);
const KILL_AFTER: Duration = Duration::from_secs(30);

const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// Reads the credentials that a plugin printed.
#[cfg(feature = "fuzzing")]
pub(super) fn read_answer(answer: &[u8]) -> Option<answer::Credential> {
    answer::Credential::read(answer, VERSIONS.first()?).ok()
}

/// The configuration of a plugin in a kubeconfig. Its arguments and environment may be secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Plugin {
    command: String,
    arguments: Vec<String>,
    /// Names and values, in addition to the environment of this process.
    environment: Vec<(String, String)>,
    /// Shown if the plugin is not installed.
    install_hint: Option<String>,
    api_version: String,
    /// The value of `KUBERNETES_EXEC_INFO`.
    exec_info: String,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Plugin {
    /// # Errors
    /// If the plugin cannot be run, whatever it would print.
    pub(super) fn new(exec: ExecConfig) -> Result<Self, PluginError> {
        let command = exec.command.filter(|command| !command.is_empty()).ok_or(PluginError::NoCommand)?;
        let api_version = exec.api_version.unwrap_or_default();
        if !VERSIONS.contains(&api_version.as_str()) {
            return Err(PluginError::Version { command, api_version });
        }
        // A service has nobody to answer questions, so `IfAvailable` means that the plugin must not ask.
        if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
            return Err(PluginError::Interactive { command });
        }
        let variable =
            |mut variable: HashMap<String, String>| Some((variable.remove("name")?, variable.remove("value")?));
        Ok(Self {
            exec_info: exec_info(&api_version, exec.cluster.as_ref()),
            arguments: exec.args.unwrap_or_default(),
            environment: exec.env.unwrap_or_default().into_iter().filter_map(variable).collect(),
            install_hint: exec.install_hint.filter(|hint| !hint.trim().is_empty()),
            command,
            api_version,
        })
    }
}

/// The request to the plugin. `cluster` is there if the kubeconfig has `provideClusterInfo`.
fn exec_info(api_version: &str, cluster: Option<&ExecAuthCluster>) -> String {
    let mut spec = json!({"interactive": false});
    if let (Some(cluster), Some(spec)) = (cluster, spec.as_object_mut()) {
        spec.insert("cluster".to_owned(), json!(cluster));
    }
    json!({"apiVersion": api_version, "kind": answer::KIND, "spec": spec}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(value: serde_json::Value) -> ExecConfig {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_plugin_has_what_the_kubeconfig_says() {
        let read = Plugin::new(exec(json!({"apiVersion": VERSIONS[1], "command": "aws", "args": ["eks", "get-token"],
            "env": [{"name": "AWS_PROFILE", "value": "a"}, {"name": "lonely"}], "installHint": " "})));
        let expected = Plugin {
            command: "aws".into(),
            arguments: vec!["eks".into(), "get-token".into()],
            environment: vec![("AWS_PROFILE".into(), "a".into())],
            install_hint: None,
            api_version: VERSIONS[1].into(),
            exec_info: json!({"apiVersion": VERSIONS[1], "kind": "ExecCredential", "spec": {"interactive": false}})
                .to_string(),
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn the_debug_text_of_a_plugin_has_neither_arguments_nor_environment() {
        let plugin = Plugin::new(exec(json!({"apiVersion": VERSIONS[0], "command": "login", "args": ["secret"],
            "env": [{"name": "PASSWORD", "value": "secret"}]})));
        assert!(!format!("{plugin:?}").contains("secret"));
    }

    #[test]
    fn a_plugin_that_cannot_be_used_is_an_error() {
        let error = |value| Plugin::new(exec(value)).unwrap_err();
        assert_eq!(error(json!({"apiVersion": VERSIONS[0]})), PluginError::NoCommand);
        let command = "login".to_owned();
        let version = PluginError::Version { command: command.clone(), api_version: "v1".into() };
        assert_eq!(error(json!({"apiVersion": "v1", "command": "login"})), version);
        let always = json!({"apiVersion": VERSIONS[0], "command": "login", "interactiveMode": "Always"});
        assert_eq!(error(always), PluginError::Interactive { command });
    }
}
