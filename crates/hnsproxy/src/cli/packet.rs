//! The arguments of `explain packet`.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use hcn::schema::Protocol;

use super::{LogArgs, OutputArgs};
use crate::hns::HnsArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  Explain what happens to a connection of a pod of this node to a cluster IP:
    hnsproxy explain packet --from 10.244.1.11 --to 10.96.0.10:80/TCP
  The same on another computer, with a dump of the node:
    hnsproxy explain packet --from 10.244.1.11 --to 10.96.0.10:80/TCP --hns emulated:logs/

Exit codes: 0 explained, also if the packet would be lost; 1 error.";

#[derive(Debug, Args)]
pub struct ExplainPacketArgs {
    /// The address of the client.
    ///
    /// Of a pod of this node, of the node, or outside.
    #[arg(long, value_name = "CLIENT", value_parser = address)]
    pub from: IpAddr,
    /// The frontend.
    ///
    /// A cluster IP, an external IP, or an address of the node with a node port.
    #[arg(long, value_name = "VIP:PORT/PROTOCOL", value_parser = to)]
    pub to: To,
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
    #[arg(long, value_name = "NAME", default_value = "cbr0")]
    pub root_hnsendpoint_name: String,
}

/// The destination of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct To {
    pub frontend: SocketAddr,
    pub protocol: Protocol,
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "expected an IP address, e.g. 10.244.1.11 or fd00::b".into())
}

fn to(text: &str) -> Result<To, String> {
    const EXPECTED: &str = "expected VIP:PORT/PROTOCOL, e.g. 10.96.0.10:80/TCP or [fd00::a]:53/UDP";
    let (frontend, protocol) = text.rsplit_once('/').ok_or(EXPECTED)?;
    let frontend = frontend.parse().map_err(|_| EXPECTED)?;
    match protocol.to_ascii_uppercase().as_str() {
        "TCP" => Ok(To { frontend, protocol: Protocol::TCP }),
        "UDP" => Ok(To { frontend, protocol: Protocol::UDP }),
        _ => Err(format!("unknown protocol {protocol} (known: TCP, UDP)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_an_address_a_port_and_a_protocol() {
        let web = To { frontend: "10.96.0.10:80".parse().unwrap(), protocol: Protocol::TCP };
        let dns = To { frontend: "[fd00::a]:53".parse().unwrap(), protocol: Protocol::UDP };
        assert_eq!((to("10.96.0.10:80/TCP"), to("[fd00::a]:53/udp")), (Ok(web), Ok(dns)));
        let invalid = ["10.96.0.10:80", "10.96.0.10/TCP", "web:80/TCP", "fd00::a:53/UDP", "10.96.0.10:80/SCTP", ""];
        assert!(invalid.into_iter().all(|text| to(text).is_err()));
    }
}
