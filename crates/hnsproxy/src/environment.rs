//! Makes the settings of the core from the configuration, the environment variables and the host.

use std::net::IpAddr;

use cluster_source::Catalog;
use cluster_source::kubernetes::node::Node;
use network_interface::{NetworkInterface, NetworkInterfaceConfig};
use proxy::network_pattern::ANY;
use proxy::{Host, Settings};

use crate::cli::ProxyArgs;
use crate::config::{Action, Config, Gate};
use crate::hns::Hns;

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("missing name of this node: set --hostname-override")]
    NodeName,
}

/// The settings, and the host with the addresses of its Node.
///
/// # Errors
/// If the name of the node is missing.
pub fn resolve(
    config: &Config,
    args: &ProxyArgs,
    hns: &Hns,
    catalog: &Catalog,
) -> Result<(Settings, Host), SettingsError> {
    let settings = settings(config, args, hns)?;
    let host = host(config, args, hns, catalog.nodes.get(&settings.node_name).map(|node| &**node));
    Ok((settings, host))
}

/// # Errors
/// If the name of the node is missing.
pub fn settings(config: &Config, args: &ProxyArgs, hns: &Hns) -> Result<Settings, SettingsError> {
    let (winkernel, cleanup) = (&config.winkernel, config.action == Action::Cleanup);
    Ok(Settings {
        node_name: node_name(config, hns)?.into(),
        network_names: network_names(winkernel.network_name.as_deref()),
        source_vip: winkernel.source_vip.clone().filter(|_| !cleanup),
        enable_dsr: winkernel.enable_dsr,
        root_endpoint_name: winkernel.root_endpoint_name.clone(),
        forward_health_check_vip: winkernel.forward_health_check_vip,
        healthz_port: config.healthz_address.map(|address| address.port()),
        metrics_port: Some(config.metrics_address.port()),
        external_ips: config.gates.enabled(Gate::AllowServiceExternalIPs),
        take_over: args.take_over,
        node_ip_as_source_vip: args.node_ip_as_source_vip,
        cleanup,
    })
}

/// The addresses and the MAC address of the host. `--node-ip` and `--node-mac` come first, then the emulated host, then the Node and the
/// adapters.
pub fn host(config: &Config, args: &ProxyArgs, hns: &Hns, node: Option<&Node>) -> Host {
    let of_node = node.map(|node| node.ips.clone()).unwrap_or_default();
    let mut node_ips = Some(configured_node_ips(args, hns)).filter(|ips| !ips.is_empty()).unwrap_or(of_node);
    apply_bind_address(&mut node_ips, config.bind_address);
    let mac = args.node.node_mac.clone().or_else(|| hns.node_mac()).or_else(|| mac_of(node_ips.first().copied()?));
    Host { node_ips, mac }
}

/// The node IPs from `--node-ip` or the emulated host. Empty if they come from the Node.
pub fn configured_node_ips(args: &ProxyArgs, hns: &Hns) -> Vec<IpAddr> {
    if args.node.node_ip.is_empty() { hns.node_ips() } else { args.node.node_ip.clone() }
}

/// A bind address that is not unspecified replaces the address of its family, and becomes the primary one, as in kube-proxy.
fn apply_bind_address(node_ips: &mut Vec<IpAddr>, address: IpAddr) {
    if !address.is_unspecified() {
        node_ips.retain(|ip| ip.is_ipv4() != address.is_ipv4());
        node_ips.insert(0, address);
    }
}

/// The MAC address of the last adapter with this address, in lower case with colons: kube-proxy takes the last one, too.
fn mac_of(node_ip: IpAddr) -> Option<String> {
    let adapters = NetworkInterface::show().unwrap_or_default();
    let has_address = |adapter: &&NetworkInterface| adapter.addr.iter().any(|address| address.ip() == node_ip);
    let mac = adapters.iter().rfind(has_address)?.mac_addr.as_ref()?;
    Some(mac.to_lowercase().replace('-', ":"))
}

/// The name of the Node.
///
/// # Errors
/// If the system has no host name, and none is set.
pub fn node_name(config: &Config, hns: &Hns) -> Result<String, SettingsError> {
    let name = config.hostname_override.clone().or_else(|| hns.node_name());
    let name = name.unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned());
    let name = name.trim().to_lowercase();
    if name.is_empty() { Err(SettingsError::NodeName) } else { Ok(name) }
}

/// The names or patterns of the networks: of the configuration, else of the environment, else the pattern of the only network for pods.
fn network_names(configured: Option<&str>) -> Vec<String> {
    let of_environment = std::env::var("KUBE_NETWORK").ok();
    let named = [configured, of_environment.as_deref()].into_iter().flatten().map(names);
    named.into_iter().find(|names| !names.is_empty()).unwrap_or_else(|| vec![ANY.to_owned()])
}

/// The names of a comma-separated list, each once: names of HNS networks are case-insensitive.
fn names(list: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !names.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_networks_has_each_name_once_in_order() {
        assert_eq!(names("cbr0"), ["cbr0"]);
        assert_eq!(names(" vxlan0, azure network ,,VXLAN0,"), ["vxlan0", "azure network"]);
        assert_eq!(names(" , "), Vec::<String>::new());
    }

    #[test]
    fn a_bind_address_is_the_primary_address_of_the_node() {
        let bound = |ips: &[&str], address: &str| {
            let mut ips: Vec<IpAddr> = ips.iter().map(|ip| ip.parse().unwrap()).collect();
            apply_bind_address(&mut ips, address.parse().unwrap());
            ips.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(bound(&["10.0.0.1", "fd00::1"], "0.0.0.0"), ["10.0.0.1", "fd00::1"]);
        assert_eq!(bound(&["10.0.0.1", "fd00::1"], "fd00::2"), ["fd00::2", "10.0.0.1"]);
        assert_eq!(bound(&[], "10.0.0.9"), ["10.0.0.9"]);
    }
}
