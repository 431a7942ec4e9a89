//! Server and credentials: from a kubeconfig, or from the service account of the pod.

use std::fs;
use std::path::PathBuf;

use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use secrecy::ExposeSecret;

use super::access_error::{AccessError, KubeconfigSyntax};
use super::client::CONNECT_TIMEOUT;
use super::connection_options::ConnectionOptions;
use super::plugin::Plugin;
use super::token::is_valid_token;
use super::userinfo::{hide_userinfo, without_userinfo};

/// The schemes of proxies that kube supports.
const PROXY_SCHEMES: [&str; 3] = ["http", "https", "socks5"];

pub(super) async fn load(options: &ConnectionOptions) -> Result<Config, AccessError> {
    let mut config = match (&options.kubeconfig, &options.master) {
        (Some(path), _) => {
            let refused = |source| kubeconfig_error(path.clone(), source);
            let mut kubeconfig = Kubeconfig::read_from(path).map_err(refused)?;
            if let Some(master) = &options.master {
                let clusters = kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut());
                clusters.for_each(|cluster| cluster.server = Some(master.clone()));
            }
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(refused)?
        }
        (None, Some(master)) => Config::new(url(master, false)?),
        (None, None) => Config::incluster().map_err(|source| AccessError::InCluster(Box::new(source)))?,
    };
    if let Some(master) = &options.master {
        config.cluster_url = url(master, config.root_cert.is_some() || config.accept_invalid_certs)?;
    }
    // Its URL is in messages and in the logs of libraries.
    config.cluster_url = without_userinfo(config.cluster_url);
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // list_watch.rs decides on retries; a second layer of retries would multiply them.
    config.default_retry = false;
    // An agent that is not a valid header value is left out: it only serves the server's log.
    if let Ok(agent) = HeaderValue::from_str(&options.user_agent) {
        config.headers.push((USER_AGENT, agent));
    }
    Ok(config)
}

/// The message of the YAML parser quotes the file, which has secrets, so only the position of the error is kept.
fn kubeconfig_error(path: PathBuf, source: KubeconfigError) -> AccessError {
    match source {
        KubeconfigError::Parse(error) => {
            let location = error.location();
            let source = KubeconfigSyntax {
                line: location.map_or(1, |location| location.line()),
                column: location.map_or(1, |location| location.column()),
            };
            AccessError::KubeconfigSyntax { path, source }
        }
        source => AccessError::Kubeconfig { path, source: Box::new(source) },
    }
}

/// The URL of a server. Without a scheme, TLS is used if there is a certificate to verify the server with, as in client-go.
fn url(master: &str, tls: bool) -> Result<Uri, AccessError> {
    let scheme = match master.contains("://") {
        true => "",
        false if tls => "https://",
        false => "http://",
    };
    let refused = |source| AccessError::Master { master: hide_userinfo(master), source };
    format!("{scheme}{master}").parse().map_err(refused)
}

/// Checks what would make kube fail with a message that has a secret, or panic. Takes the plugin that has to provide the credentials.
///
/// # Errors
/// If the credentials cannot be used now. A retry may help: the files may change.
pub(super) fn prepare(config: &mut Config) -> Result<Option<Plugin>, AccessError> {
    if let Some(proxy) = &config.proxy_url
        && !proxy.scheme_str().is_some_and(|scheme| PROXY_SCHEMES.contains(&scheme))
    {
        return Err(AccessError::Proxy { proxy: hide_userinfo(&proxy.to_string()) });
    }
    let auth = &mut config.auth_info;
    replace_auth_provider(auth)?;
    trim_token(auth)?;
    if auth.token.as_ref().is_some_and(|token| !is_valid_token(token.expose_secret())) {
        return Err(AccessError::InvalidToken);
    }
    // As in client-go, a token or a password of the kubeconfig has precedence.
    let authenticates = auth.token.is_some() || auth.token_file.is_some() || auth.username.is_some();
    let exec = auth.exec.take().filter(|_| !authenticates);
    Ok(exec.map(Plugin::new).transpose()?)
}

/// Uses the token of an `auth-provider` directly. Of these, clients of Kubernetes support only `oidc` since version 1.26. kube still runs the
/// command of others, and its errors contain what that prints.
fn replace_auth_provider(auth: &mut AuthInfo) -> Result<(), AccessError> {
    let Some(mut provider) = auth.auth_provider.take() else { return Ok(()) };
    match provider.config.remove("id-token") {
        Some(token) if provider.name == "oidc" => auth.token = Some(token.into()),
        _ => return Err(AccessError::AuthProvider { name: provider.name }),
    }
    Ok(())
}

/// Reads the token file, and trims its text: a file written by hand ends with a newline, which is invalid in a header. Files that need no
/// trimming are left to kube, which reads them again when they change.
fn trim_token(auth: &mut AuthInfo) -> Result<(), AccessError> {
    let Some(path) = auth.token_file.as_ref().filter(|_| auth.token.is_none()).map(PathBuf::from) else {
        return Ok(());
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => return Err(AccessError::EmptyToken { path }),
        Ok(text) => text,
        Err(source) => return Err(AccessError::Token { path, source }),
    };
    if text.trim() != text {
        auth.token = Some(text.trim().to_owned().into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_may_end_with_a_newline_but_not_be_empty() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        let read = |text: &str| {
            fs::write(&token, text).unwrap();
            let mut auth = AuthInfo { token_file: Some(token.display().to_string()), ..AuthInfo::default() };
            trim_token(&mut auth).map(|()| auth.token.map(|token| token.expose_secret().to_owned()))
        };
        assert_eq!(read("secret\n").unwrap().as_deref(), Some("secret"));
        assert_eq!(read("secret").unwrap(), None, "kube reads the file again when it changes");
        assert!(read("\n").unwrap_err().to_string().ends_with("token: empty"));
    }

    #[test]
    fn a_plugin_yields_to_other_credentials() {
        let exec = || serde_json::from_str(r#"{"apiVersion": "client.authentication.k8s.io/v1", "command": "x"}"#).ok();
        let prepared = |auth_info: AuthInfo| {
            let mut config = Config::new(Uri::from_static("https://10.0.0.1"));
            config.auth_info = auth_info;
            prepare(&mut config).map(|plugin| (plugin.is_some(), config.auth_info.exec.is_some()))
        };
        assert_eq!(prepared(AuthInfo { exec: exec(), ..AuthInfo::default() }).unwrap(), (true, false));
        let token = Some("secret".to_owned().into());
        assert_eq!(prepared(AuthInfo { exec: exec(), token, ..AuthInfo::default() }).unwrap(), (false, false));
    }

    #[test]
    fn credentials_that_kube_would_panic_on_or_show_are_errors() {
        let error = |auth_info: AuthInfo, proxy: Option<&str>| {
            let mut config = Config::new(Uri::from_static("https://10.0.0.1"));
            (config.auth_info, config.proxy_url) = (auth_info, proxy.map(|proxy| proxy.parse().unwrap()));
            prepare(&mut config).unwrap_err().to_string()
        };
        let token = Some("secret\nsecret".to_owned().into());
        let texts = [
            error(AuthInfo { token, ..AuthInfo::default() }, None),
            error(AuthInfo::default(), Some("ftp://user:secret@proxy")),
            error(
                serde_json::from_value(serde_json::json!({"auth-provider": {"name": "gcp", "config":
                    {"cmd-path": "/bin/echo", "cmd-args": "secret"}}}))
                .unwrap(),
                None,
            ),
        ];
        assert!(texts.iter().all(|text| !text.contains("secret")), "{texts:?}");
    }
}
