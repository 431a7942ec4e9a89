//! How hnsproxy is configured: arguments, configuration, kubeconfig and environment, and the secrets that they have.

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
use crate::redact::{Kubeconfig, Secrets, is_secret_name};
use crate::view::Version;

/// Of files, which may be on a drive that does not respond.
const LIMIT: Duration = Duration::from_secs(10);

/// The variables that hnsproxy reads, and that are shown. URLs lose user and password.
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

/// The kubeconfig, or why it is missing, and all secrets that this process can find.
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
        values.extend(password(&value));
        // A path is not a secret: `..._TOKEN_FILE` names one.
        if is_secret_name(&name) && !value.contains(['/', '\\']) {
            values.push(value);
        }
    }
    values.extend(config.client.master.as_deref().and_then(password));
    (kubeconfig, Secrets::of(values))
}

/// The password of a URL.
fn password(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (userinfo, _) = rest.rsplit_once('@')?;
    Some(userinfo.split_once(':').map_or(userinfo, |(_, password)| password).to_owned())
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
    fn the_password_of_a_url_is_found() {
        let passwords = ["http://a:p@ss@10.0.0.1", "https://token@h/", "https://h/a@b?", "plain"].map(password);
        assert_eq!(passwords, [Some("p@ss".to_owned()), Some("token".into()), Some("h/a".into()), None]);
    }
}
