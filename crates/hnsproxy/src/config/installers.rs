//! The command lines that installers give kube-proxy on Windows nodes, as published, start hnsproxy unchanged. They are files of
//! `tests/installers`, by which whole processes are started too. Values that installers work out are examples.

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

/// What is warned of.
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
    assert_eq!(config.cluster_cidrs, ["10.0.0.0/16".parse().unwrap()]);
    assert!(warnings(&config).is_empty());
    let earlier = starts(&line!("eks-earlier"));
    assert!(earlier.winkernel.enable_dsr);
    assert_eq!(warnings(&earlier).len(), 3, "a settled gate, two flags that are gone");
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
    assert_eq!(config.winkernel.source_vip, Some("10.244.1.9".parse().unwrap()));
    assert_eq!(config.healthz_address, Some("127.0.0.1:10256".parse().unwrap()));
}

#[test]
fn sig_windows_tools_with_calico() {
    let config = starts(&line!("sig-windows-tools-calico"));
    assert!(warnings(&config).contains(&"the feature gate IPv6DualStack is not known, and ignored"));
    assert_eq!(config.logging.verbosity, 4);
}

#[test]
fn sig_windows_tools_with_flannel() {
    let config = starts(&line!("sig-windows-tools-flannel"));
    assert!(config.gates.enabled("WinOverlay") && config.winkernel.source_vip.is_some());
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
