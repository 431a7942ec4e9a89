//! Server, proxy and credentials: from a kubeconfig, or from the service account of the pod.

use std::fs;
use std::path::PathBuf;

use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use kube::Config;
use kube::config::AuthInfo;
use secrecy::ExposeSecret;

use super::access_error::AccessError;
use super::client::CONNECT_TIMEOUT;
use super::connection_options::ConnectionOptions;
use super::header::is_valid_header;
use super::kubeconfig::{self, KubeconfigError};
use super::plugin::Plugin;
use super::proxy::{self, InvalidProxy};
use super::server_url::server_url;
use super::service_account;
use super::userinfo::hide_userinfo;
use crate::file_text::decode_text;

/// What the options, the kubeconfig and the environment say. Files with credentials were not read yet.
pub(super) struct Loaded {
    pub(super) config: Config,
    /// An invalid proxy prevents requests, but not the start: somebody may correct the kubeconfig.
    pub(super) proxy: Result<Option<Uri>, InvalidProxy>,
}

/// What a client needs, apart from the answer of a credential plugin.
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) plugin: Option<Plugin>,
    /// Whether the token is from a file, which may change.
    pub(super) has_token_file: bool,
}

/// Reads no file with credentials, since such a file may appear later.
///
/// # Errors
/// If the server or the credentials are missing or invalid.
pub(super) fn load(options: &ConnectionOptions, environment: &proxy::Environment) -> Result<Loaded, AccessError> {
    let master = options.master.as_deref();
    let (mut config, proxy_url) = match (&options.kubeconfig, master) {
        (Some(path), _) => {
            // The URL of --master is checked on its own, so that an error names the flag.
            master.map(master_url).transpose()?;
            let refused = |source| AccessError::Kubeconfig { path: path.clone(), source };
            kubeconfig::read(path).and_then(|kubeconfig| kubeconfig.select(master)).map_err(refused)?
        }
        (None, Some(master)) => (Config::new(master_url(master)?), None),
        (None, None) => (service_account::load()?, None),
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // list_watch.rs decides on retries; a second layer of retries would multiply them.
    config.default_retry = false;
    // An agent that is not a valid header value is left out: it only serves the server's log.
    if let Ok(agent) = HeaderValue::from_str(&options.user_agent) {
        config.headers.push((USER_AGENT, agent));
    }
    let proxy = proxy::choose(proxy_url.as_deref(), environment, &config.cluster_url);
    Ok(Loaded { config, proxy })
}

fn master_url(master: &str) -> Result<Uri, AccessError> {
    server_url(master).map_err(|source| AccessError::Master { master: hide_userinfo(master), source })
}

impl Loaded {
    /// Reads the files with credentials. Checks what would make kube fail with a message that has a secret, or panic. Takes the plugin that has
    /// to provide the credentials.
    ///
    /// # Errors
    /// If the credentials cannot be used now. A retry may help: the files may change.
    pub(super) fn prepare(self) -> Result<Prepared, AccessError> {
        let Self { mut config, proxy } = self;
        config.proxy_url = proxy?;
        let auth = &mut config.auth_info;
        replace_auth_provider(auth)?;
        kubeconfig::client_certificate(auth)?;
        let has_token_file = read_token(auth)?;
        if auth.token.as_ref().is_some_and(|token| !is_valid_header(token.expose_secret())) {
            return Err(AccessError::InvalidToken);
        }
        validate_impersonation(auth)?;
        // As in client-go, everything else has precedence over a plugin.
        let authenticates = auth.token.is_some() || auth.username.is_some() || auth.client_certificate_data.is_some();
        let exec = auth.exec.take().filter(|_| !authenticates);
        let plugin = exec.map(Plugin::new).transpose()?;
        Ok(Prepared { config, plugin, has_token_file })
    }
}

/// Uses the token of an `auth-provider` directly. Of these, clients of Kubernetes support only `oidc` since version 1.26. kube still runs the
/// command of another program, and its errors contain what that prints.
fn replace_auth_provider(auth: &mut AuthInfo) -> Result<(), AccessError> {
    let Some(mut provider) = auth.auth_provider.take() else { return Ok(()) };
    // As in client-go, credentials of the kubeconfig itself have precedence.
    let authenticates = auth.token.is_some() || auth.token_file.is_some() || auth.username.is_some();
    match provider.config.remove("id-token").filter(|token| !token.is_empty()) {
        Some(token) if provider.name == "oidc" => {
            if !authenticates {
                auth.token = Some(token.into());
            }
            Ok(())
        }
        _ => Err(AccessError::AuthProvider { name: provider.name }),
    }
}

/// Replaces the token by the text of its file, trimmed as in client-go: a file written by hand ends with a newline, which is invalid in a
/// header. A token beside the file is used while the file cannot be. Returns whether there is a file.
fn read_token(auth: &mut AuthInfo) -> Result<bool, AccessError> {
    let Some(path) = auth.token_file.take().map(PathBuf::from) else { return Ok(false) };
    match fs::read(&path).and_then(decode_text) {
        Ok(text) if !text.trim().is_empty() => auth.token = Some(text.trim().to_owned().into()),
        _ if auth.token.is_some() => {}
        Ok(_) => return Err(AccessError::EmptyToken { path }),
        Err(source) => return Err(AccessError::Token { path, source }),
    }
    Ok(true)
}

fn validate_impersonation(auth: &AuthInfo) -> Result<(), KubeconfigError> {
    let extra = auth.impersonate_user_extra.iter().flat_map(|extra| extra.values().flatten());
    let values = [
        ("as", auth.impersonate.iter().collect::<Vec<_>>()),
        ("as-uid", auth.impersonate_uid.iter().collect()),
        ("as-groups", auth.impersonate_groups.iter().flatten().collect()),
        ("as-user-extra", extra.collect()),
    ];
    match values.into_iter().find(|(_, values)| !values.iter().all(|value| is_valid_header(value))) {
        Some((field, _)) => Err(KubeconfigError::Header { field }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(auth_info: AuthInfo) -> Result<Prepared, AccessError> {
        let mut config = Config::new(Uri::from_static("https://10.0.0.1"));
        config.auth_info = auth_info;
        Loaded { config, proxy: Ok(None) }.prepare()
    }

    #[test]
    fn case_15b_a_token_file_may_end_with_a_newline_but_not_be_empty() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        let read = |text: &str| {
            fs::write(&token, text).unwrap();
            let auth = AuthInfo { token_file: Some(token.display().to_string()), ..AuthInfo::default() };
            let prepared = prepare(auth)?;
            assert!(prepared.has_token_file);
            Ok::<_, AccessError>(prepared.config.auth_info.token.unwrap().expose_secret().to_owned())
        };
        for text in ["secret\n", "\u{feff}secret\r\n", "secret", " \tsecret \n\n"] {
            assert_eq!(read(text).unwrap(), "secret", "{text:?}");
        }
        assert!(read("\n").unwrap_err().to_string().ends_with("token: empty"));
        assert!(matches!(read("secret\nsecret\n"), Err(AccessError::InvalidToken)));
    }

    #[test]
    fn a_token_file_has_precedence_over_a_token_unless_it_cannot_be_used() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let token = || {
            let token = Some("inline".to_owned().into());
            let auth = AuthInfo { token, token_file: Some(file.display().to_string()), ..AuthInfo::default() };
            prepare(auth).unwrap().config.auth_info.token.unwrap().expose_secret().to_owned()
        };
        assert_eq!(token(), "inline");
        fs::write(&file, "").unwrap();
        assert_eq!(token(), "inline");
        fs::write(&file, "file\n").unwrap();
        assert_eq!(token(), "file");
    }

    #[test]
    fn a_plugin_yields_to_other_credentials() {
        let exec = || serde_json::from_str(r#"{"apiVersion": "client.authentication.k8s.io/v1", "command": "x"}"#).ok();
        let prepared = |auth_info: AuthInfo| {
            prepare(auth_info).map(|prepared| (prepared.plugin.is_some(), prepared.config.auth_info.exec.is_some()))
        };
        assert_eq!(prepared(AuthInfo { exec: exec(), ..AuthInfo::default() }).unwrap(), (true, false));
        let token = Some("secret".to_owned().into());
        assert_eq!(prepared(AuthInfo { exec: exec(), token, ..AuthInfo::default() }).unwrap(), (false, false));
    }

    #[test]
    fn case_15b_credentials_that_kube_would_panic_on_or_show_are_errors() {
        let error = |auth_info: AuthInfo| prepare(auth_info).err().unwrap().to_string();
        let token = Some("secret\nsecret".to_owned().into());
        let texts = [
            error(AuthInfo { token, ..AuthInfo::default() }),
            error(AuthInfo { impersonate: Some("secret\n".into()), ..AuthInfo::default() }),
            error(
                serde_json::from_value(serde_json::json!({"auth-provider": {"name": "gcp", "config":
                    {"cmd-path": "/bin/echo", "cmd-args": "secret"}}}))
                .unwrap(),
            ),
        ];
        assert!(texts.iter().all(|text| !text.contains("secret")), "{texts:?}");
    }
}
