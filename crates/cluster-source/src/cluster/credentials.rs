//! Server and credentials: from a kubeconfig, or from the service account of the pod.

use std::fs;
use std::path::PathBuf;

use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::access_error::AccessError;
use super::client::CONNECT_TIMEOUT;
use super::connection_options::ConnectionOptions;

pub(super) async fn load(options: &ConnectionOptions) -> Result<Config, AccessError> {
    let mut config = match (&options.kubeconfig, &options.master) {
        (Some(path), _) => {
            let refused = |source| AccessError::Kubeconfig { path: path.clone(), source: Box::new(source) };
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
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // list_watch.rs decides on retries; a second layer of retries would multiply them.
    config.default_retry = false;
    // An agent that is not a valid header value is left out: it only serves the server's log.
    if let Ok(agent) = HeaderValue::from_str(&options.user_agent) {
        config.headers.push((USER_AGENT, agent));
    }
    Ok(config)
}

/// The URL of a server. Without a scheme, TLS is used if there is a certificate to verify the server with, as in client-go.
fn url(master: &str, tls: bool) -> Result<Uri, AccessError> {
    let scheme = match master.contains("://") {
        true => "",
        false if tls => "https://",
        false => "http://",
    };
    let refused = |source| AccessError::Master { master: master.to_owned(), source };
    format!("{scheme}{master}").parse().map_err(refused)
}

/// Reads the token file, and trims its text: a file written by hand ends with a newline, which is invalid in a header. Files that need no
/// trimming are left to kube, which reads them again when they change.
pub(super) fn trim_token(config: &mut Config) -> Result<(), AccessError> {
    let auth = &mut config.auth_info;
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
        fs::write(&token, "secret\n").unwrap();
        let mut config = Config::new(Uri::from_static("https://10.0.0.1"));
        config.auth_info.token_file = Some(token.display().to_string());
        trim_token(&mut config).unwrap();
        assert!(config.auth_info.token.is_some());
        fs::write(&token, "secret").unwrap();
        config.auth_info.token = None;
        trim_token(&mut config).unwrap();
        assert!(config.auth_info.token.is_none(), "kube reads the file again when it changes");
        fs::write(&token, "\n").unwrap();
        assert!(trim_token(&mut config).unwrap_err().to_string().ends_with("token: empty"));
    }
}
