//! The arguments of `explain packet`.

use std::net::{IpAddr, SocketAddr};

use clap::Args;

use super::{DebugTlsArgs, LogArgs, OutputArgs};
use crate::hns::HnsArgs;
use crate::packet::{To, client};

pub(super) const EXAMPLES: &str = "\
Examples:
  Explain what happens to a connection of a pod of this node to a cluster IP:
    hnsproxy explain packet --from 10.244.1.11 --to 10.96.0.10:80/TCP
  The same on another computer, with a dump of the node:
    hnsproxy explain packet --from 10.244.1.11 --to 10.96.0.10:80/TCP --hns emulated:logs/
  The same, from what the hnsproxy that runs on this node has observed:
    hnsproxy explain packet --from 10.244.1.11 --to 10.96.0.10:80/TCP --debug-address

Exit codes: 0 explained, also if the packet would be lost; 1 error.";

#[derive(Debug, Args)]
pub struct ExplainPacketArgs {
    /// The address of the client.
    ///
    /// Of a pod of this node, of the node, or outside.
    #[arg(long, value_name = "CLIENT", value_parser = client)]
    pub from: IpAddr,
    /// The frontend.
    ///
    /// A cluster IP, an external IP, or an address of the node with a node port.
    #[arg(long, value_name = "VIP:PORT/PROTOCOL")]
    pub to: To,
    /// Ask the hnsproxy that runs at this address, instead of HNS.
    ///
    /// Its --metrics-bind-address; without a value, 127.0.0.1:10249. It answers from what it has observed in HNS.
    #[arg(
        long,
        value_name = "IP:PORT",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:10249",
        conflicts_with_all = ["hns", "hns_api", "hns_call_budget", "network_name", "node_ip", "root_hnsendpoint_name"]
    )]
    pub debug_address: Option<SocketAddr>,
    #[command(flatten)]
    pub debug_tls: DebugTlsArgs,
    #[command(flatten)]
    pub hns: HnsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub log: LogArgs,
    /// Use only this HNS network and its endpoints. Default: all networks.
    #[arg(long, visible_alias = "network", value_name = "NAME")]
    pub network_name: Option<String>,
    /// An address of this node, the primary one first.
    ///
    /// May be given several times. Default: the addresses of the emulated host, or of the adapters of this computer that do not belong to an HNS
    /// endpoint or gateway.
    #[arg(long, value_name = "IP")]
    pub node_ip: Vec<IpAddr>,
    /// The name of the HNS endpoint of the host.
    ///
    /// Packets from its address count as those of the node.
    #[arg(long, value_name = "NAME", default_value = "cbr0", hide_short_help = true)]
    pub root_hnsendpoint_name: String,
}
