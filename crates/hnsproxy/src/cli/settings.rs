//! From the flags, the environment and the host to the settings of the core.

use std::net::IpAddr;

use network_interface::{NetworkInterface, NetworkInterfaceConfig};
use proxy::{Host, Settings};

use super::{KubeProxyArgs, NodeArgs};
use crate::hns::Hns;
use crate::source::Catalog;

/// What is wrong with `--hostname-override`, as kube-proxy has it.
pub const NODE_NAME_ERROR: &str = "--hostname-override has blanks only; it names this node";

/// Why the settings make no sense.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No network is named.
    #[error(
        "which HNS network the pods are in is not known: set --network-name or the environment variable KUBE_NETWORK{}",
        candidates(.there)
    )]
    NoNetwork {
        /// The networks that the emulated host has.
        there: Vec<String>,
    },
    /// The source address is none.
    #[error("--source-vip {0:?} is no IP address")]
    SourceVip(String),
    /// The node's name is empty.
    #[error("{NODE_NAME_ERROR}")]
    NodeName,
}

fn candidates(there: &[String]) -> String {
    if there.is_empty() { String::new() } else { format!(" (the host has: {})", there.join(", ")) }
}

/// The settings, and what the host knows of itself.
///
/// # Errors
/// Where no network is named and none can be assumed, or a value makes no sense.
pub fn resolve(
    args: &KubeProxyArgs,
    node: &NodeArgs,
    hns: &Hns,
    catalog: &Catalog,
) -> Result<(Settings, Host), SettingsError> {
    let source_vip = match args.source_vip.trim() {
        "" => None,
        text => Some(text.parse().map_err(|_| SettingsError::SourceVip(text.to_owned()))?),
    };
    let settings = Settings {
        node_name: node_name(&args.hostname_override, hns)?.into(),
        network_name: network_name(&args.network_name, hns)?,
        source_vip,
        enable_dsr: args.enable_dsr,
        root_endpoint_name: args.root_hnsendpoint_name.clone(),
        forward_health_check_vip: args.forward_healthcheck_vip,
        healthz_port: Some(args.healthz_bind_address.port()).filter(|port| *port != 0),
        take_over: false,
    };
    let of_object = catalog.nodes.get(&settings.node_name).map(|node| node.ips.clone()).unwrap_or_default();
    let candidates = [node.node_ip.clone(), hns.node_ips(), of_object];
    let node_ips = candidates.into_iter().find(|ips| !ips.is_empty()).unwrap_or_default();
    let mac = node.node_mac.clone().or_else(|| hns.node_mac()).or_else(|| mac_of(node_ips.first().copied()?));
    Ok((settings, Host { node_ips, mac }))
}

/// The MAC address of the last adapter that has an address, in lower case with colons, as kube-proxy finds and writes it.
fn mac_of(node_ip: IpAddr) -> Option<String> {
    let adapters = NetworkInterface::show().unwrap_or_default();
    let has_address = |adapter: &&NetworkInterface| adapter.addr.iter().any(|address| address.ip() == node_ip);
    let mac = adapters.iter().rfind(has_address)?.mac_addr.as_ref()?;
    Some(mac.to_lowercase().replace('-', ":"))
}

fn node_name(flag: &str, hns: &Hns) -> Result<String, SettingsError> {
    let name = match (flag, hns.node_name()) {
        ("", Some(node)) => node,
        ("", None) => gethostname::gethostname().to_string_lossy().into_owned(),
        (flag, _) => flag.to_owned(),
    };
    let name = name.trim().to_lowercase();
    if name.is_empty() { Err(SettingsError::NodeName) } else { Ok(name) }
}

fn network_name(flag: &str, hns: &Hns) -> Result<String, SettingsError> {
    if !flag.is_empty() {
        return Ok(flag.to_owned());
    }
    if let Some(name) = std::env::var("KUBE_NETWORK").ok().filter(|name| !name.is_empty()) {
        return Ok(name);
    }
    match hns.networks().as_slice() {
        [only] => {
            tracing::info!(
                network = only,
                "--network-name is not set: the emulated host has one network, which is taken"
            );
            Ok(only.clone())
        }
        there => Err(SettingsError::NoNetwork { there: there.to_vec() }),
    }
}
