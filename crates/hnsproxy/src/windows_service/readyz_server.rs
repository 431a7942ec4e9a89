//! Determines the address and the TLS settings of `/readyz` of a service from its arguments and its configuration file.
#![cfg_attr(not(windows), allow(dead_code, reason = "only Windows has services"))]

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cli::{self, Command, RunArgs};
use crate::config::{Config, METRICS_ADDRESS};
use crate::http_client::Server;

/// Returns the server. Flags that cannot be parsed result in the default address.
pub(super) fn server(flags: &[String]) -> Server {
    let line = ["hnsproxy", "run"].into_iter().chain(flags.iter().map(String::as_str)).map(OsString::from);
    match cli::parse(line).map(|cli| cli.command) {
        Ok(Command::Run(run)) => server_of(&run),
        _ => Server { address: METRICS_ADDRESS, certificate_file: None },
    }
}

/// The server of a process with these arguments, with the default address if its configuration cannot be read.
pub(super) fn server_of(run: &RunArgs) -> Server {
    let certificate_file = run.tls.metrics().map(|(certificate, _)| certificate.to_owned());
    let config = Config::resolve(&run.proxy.kube_proxy);
    let mut address = config.map_or(METRICS_ADDRESS, |config| config.metrics_address);
    // The unspecified address means all addresses of the host, including loopback.
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Server { address, certificate_file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_comes_from_the_flags_or_the_configuration_file() {
        let of = |flags: &[String]| server(flags).address.to_string();
        assert_eq!(of(&[]), "127.0.0.1:10249");
        assert_eq!(of(&["--metrics-bind-address=0.0.0.0:7".into()]), "127.0.0.1:7");
        assert_eq!(of(&["--metrics-bind-address=[::]:7".into()]), "[::1]:7");
        assert_eq!(of(&["--metrics-bind-address=192.0.2.1:7".into()]), "192.0.2.1:7");
        assert_eq!(of(&["--metrics-bind-address=invalid".into()]), "127.0.0.1:10249");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        let text = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmetricsBindAddress: 127.0.0.1:9\n";
        std::fs::write(&path, text).unwrap();
        assert_eq!(of(&[format!("--config={}", path.display())]), "127.0.0.1:9");
        assert_eq!(of(&["--config=missing.yaml".into()]), "127.0.0.1:10249");
    }

    #[test]
    fn the_certificate_is_that_of_the_metrics_address() {
        let flags = ["--metrics-tls-cert-file=tls.crt", "--metrics-tls-key-file=tls.key"].map(str::to_owned);
        assert_eq!(server(&flags), Server { address: METRICS_ADDRESS, certificate_file: Some("tls.crt".into()) });
    }
}
