//! The text of a kubeconfig, decoded into the fields that are used. Paths are relative to its directory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{MAIN_SEPARATOR, Path};

use kube::config::ExecConfig;
use serde::Deserialize;
use serde_json::Value;

use super::error::KubeconfigError;
use crate::file_text::read_text;
use crate::yaml::yaml_options;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(in crate::cluster) struct Kubeconfig {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
    pub(super) current_context: Option<String>,
    pub(super) contexts: Option<Vec<NamedContext>>,
    pub(super) clusters: Option<Vec<NamedCluster>>,
    pub(super) users: Option<Vec<NamedUser>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NamedContext {
    pub(super) name: Option<String>,
    pub(super) context: Option<Context>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Context {
    pub(super) cluster: Option<String>,
    pub(super) user: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NamedCluster {
    pub(super) name: Option<String>,
    pub(super) cluster: Option<Cluster>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) server: Option<String>,
    pub(super) certificate_authority: Option<String>,
    pub(super) certificate_authority_data: Option<String>,
    pub(super) insecure_skip_tls_verify: Option<bool>,
    pub(super) tls_server_name: Option<String>,
    pub(super) proxy_url: Option<String>,
    pub(super) extensions: Option<Vec<NamedExtension>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NamedExtension {
    pub(super) name: Option<String>,
    pub(super) extension: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NamedUser {
    pub(super) name: Option<String>,
    pub(super) user: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) client_certificate: Option<String>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) client_key_data: Option<String>,
    pub(super) token: Option<String>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<String>,
    #[serde(rename = "as")]
    pub(super) impersonate: Option<String>,
    #[serde(rename = "as-uid")]
    pub(super) impersonate_uid: Option<String>,
    #[serde(rename = "as-groups")]
    pub(super) impersonate_groups: Option<Vec<String>>,
    #[serde(rename = "as-user-extra")]
    pub(super) impersonate_user_extra: Option<BTreeMap<String, Option<Vec<String>>>>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) auth_provider: Option<AuthProvider>,
    pub(super) exec: Option<ExecConfig>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthProvider {
    pub(super) name: Option<String>,
    pub(super) config: Option<HashMap<String, String>>,
}

/// An empty text is as good as none, as in Go.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Reads a kubeconfig. Of several documents, the first one counts, as in client-go.
pub(in crate::cluster) fn read(path: &Path) -> Result<Kubeconfig, KubeconfigError> {
    let text = read_text(path).map_err(KubeconfigError::Read)?;
    let mut kubeconfig = parse(&text)?;
    if let Some(directory) = path.parent() {
        kubeconfig.resolve_paths(directory);
    }
    Ok(kubeconfig)
}

pub(in crate::cluster) fn parse(text: &str) -> Result<Kubeconfig, KubeconfigError> {
    let documents: Result<Vec<Kubeconfig>, _> =
        serde_saphyr::from_multiple_with_options(text, yaml_options(text.len()));
    let documents = documents.map_err(|error| {
        let location = error.location();
        KubeconfigError::Syntax {
            line: location.map_or(1, |location| location.line()),
            column: location.map_or(1, |location| location.column()),
        }
    })?;
    let kubeconfig = documents.into_iter().next().unwrap_or_default();
    let is = |text: &Option<String>, expected| text.as_deref().is_none_or(|text| text.is_empty() || text == expected);
    if !is(&kubeconfig.api_version, "v1") || !is(&kubeconfig.kind, "Config") {
        return Err(KubeconfigError::Kind);
    }
    kubeconfig.has_unique_names()?;
    Ok(kubeconfig)
}

impl Kubeconfig {
    /// client-go rejects a list in which a name occurs twice, since nobody knows which entry is meant.
    fn has_unique_names(&self) -> Result<(), KubeconfigError> {
        let names = |field, names: Vec<&Option<String>>| {
            let mut known = BTreeSet::new();
            match names.into_iter().find(|name| !known.insert(name.as_deref().unwrap_or_default())) {
                Some(name) => Err(KubeconfigError::Duplicate { field, name: name.clone().unwrap_or_default() }),
                None => Ok(()),
            }
        };
        names("contexts", self.contexts.iter().flatten().map(|named| &named.name).collect())?;
        names("clusters", self.clusters.iter().flatten().map(|named| &named.name).collect())?;
        names("users", self.users.iter().flatten().map(|named| &named.name).collect())
    }

    pub(in crate::cluster) fn resolve_paths(&mut self, directory: &Path) {
        let resolve = |path: &mut Option<String>| {
            let relative = path.take_if(|path| !path.is_empty() && Path::new(path).is_relative());
            if let Some(relative) = relative {
                *path = Some(directory.join(relative).to_string_lossy().into_owned());
            }
        };
        for cluster in self.clusters.iter_mut().flatten().filter_map(|named| named.cluster.as_mut()) {
            resolve(&mut cluster.certificate_authority);
        }
        for user in self.users.iter_mut().flatten().filter_map(|named| named.user.as_mut()) {
            resolve(&mut user.client_certificate);
            resolve(&mut user.client_key);
            resolve(&mut user.token_file);
            // A command without a separator is searched in PATH.
            let exec = user.exec.as_mut().map(|exec| &mut exec.command);
            if let Some(command) = exec.filter(|command| command.as_ref().is_some_and(|it| it.contains(MAIN_SEPARATOR)))
            {
                resolve(command);
            }
        }
    }
}
