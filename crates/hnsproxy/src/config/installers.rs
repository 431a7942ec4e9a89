//! hnsproxy accepts the kube-proxy command lines of the common installers for Windows nodes. They are files in `tests/installers`, which
//! process tests use too. Values that an installer computes are examples.

use tracing::Level;

use super::tests::flags;
use super::*;

/// The flags in a file.
macro_rules! line {
    ($name:literal) => {
        include_str!(concat!("../../tests/installers/", $name))
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>()
    };
}

fn starts(line: &[&str]) -> Config {
    Config::resolve(&flags(line)).unwrap_or_else(|error| panic!("{error}"))
}

/// The warnings of a configuration.
fn warnings(config: &Config) -> Vec<&str> {
    config.notes.iter().filter(|note| note.level == Level::WARN).map(|note| note.text.as_str()).collect()
}

#[test]
fn aks() {
    let config = starts(&line!("aks"));
    assert_eq!(config.hostname_override.as_deref(), Some("aksnpwin000000"));
    assert_eq!(config.client.kubeconfig, Some(r"c:\k\config".into()));
    assert!(config.winkernel.enable_dsr && config.winkernel.network_name.is_none());
}

#[test]
fn eks() {
    let config = starts(&line!("eks"));
    assert_eq!(config.to_v1alpha1()["clusterCIDR"], "10.0.0.0/16");
    assert!(warnings(&config).is_empty());
    let earlier = starts(&line!("eks-earlier"));
    assert!(earlier.winkernel.enable_dsr);
    assert_eq!(warnings(&earlier).len(), 3, "a GA gate and two removed flags");
}

#[test]
fn gke() {
    let line = line!("gke");
    assert!(starts(&line).winkernel.enable_dsr && flags(&line).windows_service());
}

#[test]
fn rke2() {
    let config = starts(&line!("rke2"));
    assert_eq!(config.bind_address, "10.0.0.5".parse::<IpAddr>().unwrap());
    assert_eq!(config.winkernel.network_name.as_deref(), Some("Calico"));
    assert_eq!(config.winkernel.source_vip, Some(SourceVip::Address([10, 244, 1, 9].into())));
    assert_eq!(config.healthz_address, Some("127.0.0.1:10256".parse().unwrap()));
}

#[test]
fn sig_windows_tools_with_calico() {
    let config = starts(&line!("sig-windows-tools-calico"));
    assert!(warnings(&config).contains(&"ignoring unknown feature gate IPv6DualStack"));
    assert_eq!(config.logging.verbosity, 4);
}

#[test]
fn sig_windows_tools_with_flannel() {
    let config = starts(&line!("sig-windows-tools-flannel"));
    assert!(config.gates.enabled(Gate::WinOverlay) && config.winkernel.source_vip.is_some());
}

#[test]
fn kubeadm_file() {
    let file = include_str!("../../tests/installers/kubeadm.yaml");
    let config = Config::from_file(&flags(&line!("kubeadm")), std::path::Path::new("c.yaml"), file).unwrap();
    assert_eq!(config.sync_period, Duration::from_secs(30));
    assert_eq!(config.client.burst, 10);
    assert_eq!((config.hostname_override.as_deref(), config.logging.verbosity), (Some("win-1"), 4));
    assert!(!config.notes.iter().any(|note| note.text.contains("leniently")), "{:?}", config.notes);
}
