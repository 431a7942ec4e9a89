//! The service account of the pod, also where containerd before 1.7 mounts it in HostProcess containers.

use std::env;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use http::Uri;
use kube::Config;
use kube::config::InClusterError;

use super::access_error::AccessError;
use super::pem;
use super::server_url::server_url;
use crate::file_text::read_text;

/// Below the root of the file system of a container.
const DIRECTORY: &str = "var/run/secrets/kubernetes.io/serviceaccount";

/// # Errors
/// If this process has no service account.
pub(super) fn load() -> Result<Config, AccessError> {
    let refused = match Config::incluster() {
        Ok(config) => return Ok(config),
        Err(refused) => refused,
    };
    // Up to version 1.6, containerd mounts the volumes of a HostProcess container below this directory, and not at their paths.
    let mounted = env::var_os("CONTAINER_SANDBOX_MOUNT_POINT").map(|root| PathBuf::from(root).join(DIRECTORY));
    let is_absent =
        matches!(refused, InClusterError::ReadDefaultNamespace(_) | InClusterError::ReadCertificateBundle(_));
    match (mounted.filter(|directory| is_absent && directory.is_dir()), server()) {
        (Some(directory), Some(server)) => of(&directory, server),
        _ => Err(AccessError::InCluster(Box::new(refused))),
    }
}

/// The API server, from the environment of a pod.
fn server() -> Option<Uri> {
    let host = env::var("KUBERNETES_SERVICE_HOST").ok()?;
    let port: u16 = env::var("KUBERNETES_SERVICE_PORT").ok()?.parse().ok()?;
    let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host };
    server_url(&format!("https://{host}:{port}")).ok()
}

/// The token is read later, and again while the process runs, since the kubelet replaces it.
fn of(directory: &Path, server: Uri) -> Result<Config, AccessError> {
    let path = directory.join("ca.crt");
    let refused = |source| AccessError::ServiceAccount { path: path.clone(), source };
    let text = read_text(&path).map_err(refused)?;
    let certificates =
        pem::certificates(&text).map_err(|_| refused(std::io::Error::other("no certificates in PEM")))?;
    let mut config = Config::new(server);
    config.root_cert = Some(certificates.into_iter().filter_map(|block| block.contents).collect());
    config.auth_info.token_file = Some(directory.join("token").to_string_lossy().into_owned());
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_certificate_and_the_token_are_those_of_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join(DIRECTORY);
        fs::create_dir_all(&directory).unwrap();
        let read = || of(&directory, "https://10.0.0.1:6443".parse().unwrap());
        assert!(read().unwrap_err().to_string().contains("ca.crt"));
        fs::write(directory.join("ca.crt"), "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n").unwrap();
        let config = read().unwrap();
        assert_eq!(config.root_cert, Some(vec![vec![1, 2, 3]]));
        assert_eq!(config.auth_info.token_file.as_deref().map(Path::new), Some(&*directory.join("token")));
    }
}
