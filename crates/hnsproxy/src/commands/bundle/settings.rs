//! The arguments, the configuration, the kubeconfig and the environment of hnsproxy, and the secrets in them.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use cluster_source::cluster::hide_userinfo;
use cluster_source::read_text;
use serde_json::json;

use super::super::bounded::begin;
use super::part::Part;
use crate::cli::ProxyArgs;
use crate::config::Config;
use crate::redact::{Kubeconfig, Secrets, is_secret_name, password};
use crate::view::Version;

/// The time limit for reading files, which may be on a drive that does not respond.
const LIMIT: Duration = Duration::from_secs(10);

/// The variables that hnsproxy reads. Only these are part of the bundle. User and password are removed from URLs.
const VARIABLES: [&str; 13] = [
    "CONTAINER_SANDBOX_MOUNT_POINT",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "KUBE_NETWORK",
    "NO_PROXY",
    "SystemRoot",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "PROCESSOR_ARCHITECTURE",
    "NUMBER_OF_PROCESSORS",
];

/// The ends of the names of variables that tell where a secret is, in lower case, such as `AWS_WEB_IDENTITY_TOKEN_FILE`.
const NO_SECRETS: [&str; 6] = ["file", "path", "dir", "url", "uri", "endpoint"];

/// Returns the kubeconfig, or the reason why it is missing, and all secrets that this process can find.
pub(super) fn secrets(config: &Config) -> (Option<Result<Kubeconfig, String>>, Secrets) {
    let kubeconfig = config
        .client
        .kubeconfig
        .clone()
        .map(|path| begin(LIMIT, move || Kubeconfig::read(&path)).wait().and_then(|read| read));
    let mut values = Vec::new();
    if let Some(Ok(kubeconfig)) = &kubeconfig {
        values.extend(kubeconfig.secrets.clone());
        let files = kubeconfig.secret_files.clone();
        let read = move || files.iter().filter_map(|file| read_text(file).ok()).collect::<Vec<_>>();
        values.extend(begin(LIMIT, read).wait().unwrap_or_default());
    }
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    for (name, value) in variables {
        values.extend(secrets_of_variable(&name, value));
    }
    values.extend(config.client.master.iter().flat_map(|url| password(url)));
    (kubeconfig, Secrets::of(values))
}

/// The secrets that a variable has.
fn secrets_of_variable(name: &str, value: String) -> Vec<String> {
    let lower = name.to_ascii_lowercase();
    let mut secrets = Vec::new();
    // The scheme of a proxy can be missing. In other texts, an `@` has other meanings.
    if value.contains("://") || lower.ends_with("_proxy") {
        secrets.extend(password(&value));
    }
    if is_secret_name(name) && !NO_SECRETS.iter().any(|end| lower.ends_with(end)) {
        secrets.push(value);
    }
    secrets
}

pub(super) fn parts(args: &ProxyArgs, config: &Config, kubeconfig: Option<Result<Kubeconfig, String>>) -> Vec<Part> {
    let flags: BTreeMap<_, _> = config.flags().into_iter().collect();
    let given: Vec<_> = args.log_notes.flags.iter().map(|flag| hide_userinfo(flag)).collect();
    let version = Version::of_this_program();
    let configuration = serde_saphyr::to_string(&config.to_v1alpha1()).map_err(|error| error.to_string());
    let variables = VARIABLES.iter().filter_map(|name| Some((*name, hide_userinfo(&env::var(name).ok()?))));
    vec![
        Part::document("version.json", Ok(version)),
        Part::document("arguments.json", Ok(json!({"hnsproxy": given, "kubeProxy": flags}))),
        Part::text("configuration.yaml", configuration),
        match kubeconfig {
            Some(kubeconfig) => Part::document("kubeconfig.json", kubeconfig.map(|kubeconfig| kubeconfig.document)),
            None => Part::not_applicable("kubeconfig.json", "--kubeconfig not given"),
        },
        Part::document("environment.json", Ok(variables.collect::<BTreeMap<_, _>>())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_secret_by_its_name_or_in_a_url() {
        let of = |name: &str, value: &str| secrets_of_variable(name, value.to_owned());
        let none: [&str; 0] = [];
        assert_eq!(of("AWS_SECRET_ACCESS_KEY", "wJalr/K7MDENG+bPx"), ["wJalr/K7MDENG+bPx"]);
        assert_eq!(of("AWS_WEB_IDENTITY_TOKEN_FILE", r"C:\token"), none);
        assert_eq!(of("https_proxy", "a:hunter2@proxy:3128"), ["hunter2"]);
        assert_eq!(of("REPOSITORY", "https://a:hunter2@h"), ["hunter2"]);
        assert_eq!(of("NOTE", "a:b@c"), none);
    }
}
