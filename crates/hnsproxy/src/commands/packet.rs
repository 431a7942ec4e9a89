//! `explain packet`: explains what would happen to a packet, by the objects of HNS, or by what a running process has observed.

use std::net::IpAddr;

use http::StatusCode;
use network_interface::{NetworkInterface, NetworkInterfaceConfig};
use vswitch::Node;

use super::IN_SYNC;
use crate::cli::ExplainPacketArgs;
use crate::error::CommandError;
use crate::hns::{Hns, HnsChoice};
use crate::http_client::{RequestError, Server};
use crate::packet::{self, Objects, PacketError, PacketExplanation, Question};
use crate::{output, view};

pub(super) fn main(args: &ExplainPacketArgs) -> Result<u8, CommandError> {
    let question = Question::new(args.from, args.to)?;
    let explanation = match args.debug_address {
        Some(address) => from_process(&question, &args.debug_tls.server(address))?,
        None => from_hns(&question, args)?,
    };
    output::print(args.output.output, &explanation, |_| view::packet(&explanation))?;
    Ok(IN_SYNC)
}

fn from_process(question: &Question, server: &Server) -> Result<PacketExplanation, CommandError> {
    let address = server.address;
    let failed =
        |source| CommandError::Query { address, source, instead: "leave it out to read HNS without that process" };
    let explanation = server.get_json(&format!("/debug/packet?{}", question.to_query())).map_err(failed)?;
    // This version never answers 404 here, so an earlier version or another program listens at this address.
    let not_found = || failed(RequestError::Status { status: StatusCode::NOT_FOUND });
    let mut explanation: PacketExplanation = explanation.ok_or_else(not_found)?;
    explanation.description = format!("hnsproxy at {address}, {}", explanation.description);
    Ok(explanation)
}

fn from_hns(question: &Question, args: &ExplainPacketArgs) -> Result<PacketExplanation, CommandError> {
    let hns = Hns::open(&args.hns)?;
    let all = Objects::read(&*hns.hcn(), &hns.chosen_client()?)?;
    let node = node(args, &hns, &all)?;
    let objects = match &args.network_name {
        Some(name) => all.of_network(name)?,
        None => all,
    };
    Ok(packet::explain(question, &objects, &node, hns.description()))
}

fn node(args: &ExplainPacketArgs, hns: &Hns, objects: &Objects) -> Result<Node, PacketError> {
    let addresses = match args.node_ip.as_slice() {
        [] if *args.hns.choice() == HnsChoice::Windows => addresses_of_adapters(objects),
        [] => hns.node_ips(),
        given => given.to_vec(),
    };
    if addresses.is_empty() {
        return Err(PacketError::NoNodeAddress);
    }
    // HNS ignores the case of names.
    let names = objects.endpoints().map(|endpoint| &endpoint.name);
    let host_endpoints = names.filter(|name| name.eq_ignore_ascii_case(&args.root_hnsendpoint_name)).cloned();
    Ok(Node { addresses, host_endpoints: host_endpoints.collect() })
}

/// The addresses of the adapters of this computer, without those of HNS: the endpoint of the host and the gateway of a NAT network have adapters, too.
fn addresses_of_adapters(objects: &Objects) -> Vec<IpAddr> {
    let is_of_node = |address: &IpAddr| {
        let is_link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        !address.is_loopback() && !is_link_local && !objects.has_address(*address)
    };
    let adapters = NetworkInterface::show().unwrap_or_default();
    adapters.iter().flat_map(|adapter| &adapter.addr).map(|address| address.ip()).filter(is_of_node).collect()
}
