//! The entries of a kubeconfig that its current context names, validated as client-go does.

use kube::Config;
use kube::config::{AuthInfo, AuthProviderConfig, ExecAuthCluster};

use super::certificates::{authorities, authority_text};
use super::error::KubeconfigError;
use super::file::{Cluster, Kubeconfig, User, given};
use crate::cluster::server_url::server_url;
use crate::cluster::userinfo::hide_userinfo;

/// The extension of a cluster that is handed to credential plugins.
const PLUGIN_EXTENSION: &str = "client.authentication.k8s.io/exec";

impl Kubeconfig {
    /// The connection that the kubeconfig describes, and its `proxy-url`. `master` replaces the server.
    ///
    /// # Errors
    /// If the kubeconfig, or a file with certificates that it names, cannot be used.
    pub(in crate::cluster) fn select(self, master: Option<&str>) -> Result<(Config, Option<String>), KubeconfigError> {
        let (name, mut cluster, mut user) = self.current(master.is_some())?;
        if let Some(master) = master {
            // A name that belongs to the server of the kubeconfig is not that of another one.
            (cluster.server, cluster.tls_server_name) = (Some(master.to_owned()), None);
        }
        let server = given(cluster.server.clone()).ok_or(KubeconfigError::NoServer { cluster: name.clone() })?;
        let url = server_url(&server).map_err(|source| KubeconfigError::Server {
            cluster: name,
            url: hide_userinfo(&server),
            source,
        })?;
        cluster.validate()?;
        user.validate()?;
        let is_encrypted = url.scheme_str() == Some("https");
        let mut config = Config::new(url);
        let impersonation = user.impersonation();
        // client-go uses neither credentials nor certificates without TLS: anybody could read them.
        if is_encrypted {
            let authority = given(cluster.certificate_authority.clone());
            let data = given(cluster.certificate_authority_data.clone());
            config.root_cert = authorities(data.as_deref(), authority.as_deref())?;
            // For messages only.
            config.root_cert_file = authority.map(Into::into);
            config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
            config.tls_server_name = given(cluster.tls_server_name.clone());
            config.auth_info = user.credentials();
            if let Some(exec) = config.auth_info.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
                exec.cluster = Some(cluster.for_plugin(&server)?);
            }
        }
        impersonation.apply(&mut config.auth_info);
        Ok((config, given(cluster.proxy_url)))
    }

    /// The name and the entry of the current cluster, and the current user. A user that does not exist has no credentials, as in client-go.
    fn current(self, has_master: bool) -> Result<(String, Cluster, User), KubeconfigError> {
        let mut contexts = self.contexts.unwrap_or_default();
        let names = |names: Vec<&Option<String>>| names.into_iter().filter_map(|name| given(name.clone())).collect();
        let Some(current) = given(self.current_context) else {
            // With --master, nothing of the kubeconfig is necessary.
            return match has_master {
                true => Ok(Default::default()),
                false => Err(KubeconfigError::NoContext {
                    contexts: names(contexts.iter().map(|named| &named.name).collect()),
                }),
            };
        };
        let Some(at) = contexts.iter().position(|named| named.name.as_deref() == Some(current.as_str())) else {
            let contexts = names(contexts.iter().map(|named| &named.name).collect());
            return Err(KubeconfigError::UnknownContext { name: current, contexts });
        };
        let context = contexts.swap_remove(at).context.unwrap_or_default();
        let mut clusters = self.clusters.unwrap_or_default();
        let wanted = given(context.cluster);
        let at = clusters.iter().position(|named| named.name.is_some() && named.name == wanted);
        let cluster = match (at, wanted) {
            (Some(at), _) => clusters.swap_remove(at),
            (None, _) if has_master => Default::default(),
            (None, wanted) => {
                let clusters = names(clusters.iter().map(|named| &named.name).collect());
                return Err(match wanted {
                    Some(name) => KubeconfigError::UnknownCluster { context: current, name, clusters },
                    None => KubeconfigError::NoCluster { context: current, clusters },
                });
            }
        };
        let wanted = given(context.user);
        let user = self.users.into_iter().flatten().find(|named| named.name.is_some() && named.name == wanted);
        let user = user.and_then(|named| named.user).unwrap_or_default();
        Ok((cluster.name.unwrap_or_default(), cluster.cluster.unwrap_or_default(), user))
    }
}

fn both(fields: [(&'static str, bool); 2]) -> Result<(), KubeconfigError> {
    match fields {
        [(first, true), (second, true)] => Err(KubeconfigError::Both { first, second }),
        _ => Ok(()),
    }
}

fn is_given(text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| !text.is_empty())
}

impl Cluster {
    fn validate(&self) -> Result<(), KubeconfigError> {
        let (file, data) = (is_given(&self.certificate_authority), is_given(&self.certificate_authority_data));
        both([("certificate-authority", file), ("certificate-authority-data", data)])?;
        let insecure = self.insecure_skip_tls_verify.unwrap_or(false);
        both([("insecure-skip-tls-verify", insecure), ("certificate-authority", file || data)])
    }

    /// What a plugin with `provideClusterInfo` receives.
    fn for_plugin(&self, server: &str) -> Result<ExecAuthCluster, KubeconfigError> {
        let extension = self.extensions.iter().flatten().find(|named| named.name.as_deref() == Some(PLUGIN_EXTENSION));
        Ok(ExecAuthCluster {
            server: Some(server.to_owned()),
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
            certificate_authority_data: authority_text(
                given(self.certificate_authority_data.clone()).as_deref(),
                given(self.certificate_authority.clone()).as_deref(),
            )?,
            proxy_url: given(self.proxy_url.clone()),
            tls_server_name: given(self.tls_server_name.clone()),
            config: extension.and_then(|named| named.extension.clone()),
        })
    }
}

/// Whom the requests impersonate.
struct Impersonation(AuthInfo);

impl Impersonation {
    fn apply(self, auth: &mut AuthInfo) {
        auth.impersonate = self.0.impersonate;
        auth.impersonate_uid = self.0.impersonate_uid;
        auth.impersonate_groups = self.0.impersonate_groups;
        auth.impersonate_user_extra = self.0.impersonate_user_extra;
    }
}

impl User {
    fn validate(&self) -> Result<(), KubeconfigError> {
        let (certificate, certificate_data) =
            (is_given(&self.client_certificate), is_given(&self.client_certificate_data));
        let (key, key_data) = (is_given(&self.client_key), is_given(&self.client_key_data));
        both([("client-certificate", certificate), ("client-certificate-data", certificate_data)])?;
        if certificate || certificate_data {
            both([("client-key", key), ("client-key-data", key_data)])?;
            if !key && !key_data {
                return Err(KubeconfigError::Missing { field: "client-certificate", missing: "client-key" });
            }
        }
        let (token, token_file) = (is_given(&self.token), is_given(&self.token_file));
        let (username, password) = (is_given(&self.username), is_given(&self.password));
        both([("token", token), ("username", username)])?;
        both([("token", token), ("password", password)])?;
        both([("tokenFile", token_file), ("username", username)])?;
        both([("exec", self.exec.is_some()), ("auth-provider", self.auth_provider.is_some())])?;
        let extra = self.impersonate_user_extra.as_ref().is_some_and(|extra| !extra.is_empty());
        let groups = self.impersonate_groups.as_ref().is_some_and(|groups| !groups.is_empty());
        let dependents = [("as-uid", is_given(&self.impersonate_uid)), ("as-groups", groups), ("as-user-extra", extra)];
        match dependents.into_iter().find(|(_, is_given)| *is_given) {
            Some((field, _)) if !is_given(&self.impersonate) => Err(KubeconfigError::Missing { field, missing: "as" }),
            _ => Ok(()),
        }
    }

    /// Takes what the requests impersonate. It is sent without TLS too, as by client-go, since it is not secret.
    fn impersonation(&mut self) -> Impersonation {
        let extra = self.impersonate_user_extra.take().unwrap_or_default();
        let extra = extra.into_iter().map(|(name, values)| (name, values.unwrap_or_default()));
        Impersonation(AuthInfo {
            impersonate: given(self.impersonate.take()),
            impersonate_uid: given(self.impersonate_uid.take()),
            impersonate_groups: self.impersonate_groups.take().filter(|groups| !groups.is_empty()),
            impersonate_user_extra: Some(extra.collect())
                .filter(|extra: &std::collections::HashMap<_, _>| !extra.is_empty()),
            ..AuthInfo::default()
        })
    }

    fn credentials(self) -> AuthInfo {
        let secret = |text| given(text).map(Into::into);
        let username = given(self.username);
        AuthInfo {
            // A user name without a password is sent with an empty one; a password alone is not sent.
            password: username.is_some().then(|| self.password.unwrap_or_default().into()),
            username,
            token: secret(self.token),
            token_file: given(self.token_file),
            client_certificate: given(self.client_certificate),
            client_certificate_data: given(self.client_certificate_data),
            client_key: given(self.client_key),
            client_key_data: secret(self.client_key_data),
            auth_provider: self.auth_provider.map(|provider| AuthProviderConfig {
                name: provider.name.unwrap_or_default(),
                config: provider.config.unwrap_or_default(),
                ..AuthProviderConfig::default()
            }),
            exec: self.exec,
            ..AuthInfo::default()
        }
    }
}
