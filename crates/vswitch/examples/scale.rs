//! Measures the switch: loading load balancers, packets of new and of known flows, and the memory of a flow.
#![allow(clippy::print_stdout, reason = "a program that prints its results")]
#![allow(clippy::disallowed_methods, reason = "a program that measures time")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hcn::Guid;
use hcn::schema::{
    Endpoint, EndpointFlags, IpConfiguration, LoadBalancer, LoadBalancerFlags, Network, NetworkType, PortMapping,
    Protocol,
};
use peak_alloc::PeakAlloc;
use vswitch::testing::{PacketKind, build};
use vswitch::{Assumptions, Change, Instant, Node, PortId, Switch, Verdict};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const LOAD_BALANCERS: u32 = 10_000;
const BACKENDS: u32 = 5;
const FLOWS: u32 = 1_000_000;

fn main() {
    let changes = changes_of(true);
    let mut switch = Switch::new(node(), Assumptions::default());
    let loading = time(|| changes.into_iter().for_each(|change| switch.apply(change)));
    println!("{LOAD_BALANCERS} load balancers with {BACKENDS} backends each loaded: {loading:.3?}");

    for is_dsr in [true, false] {
        let name = if is_dsr { "direct server return" } else { "translated source" };
        let mut switch = Switch::new(node(), Assumptions::default());
        changes_of(is_dsr).into_iter().for_each(|change| switch.apply(change));
        let before = MEMORY.current_usage();
        let new = time(|| send(&mut switch, PacketKind::Syn));
        let flows = switch.flow_count();
        let of_flow = MEMORY.current_usage().saturating_sub(before) / flows.max(1);
        println!("{name}: {FLOWS} packets of new flows: {new:.2?}, {flows} flows, {of_flow} bytes per flow");
        let known = time(|| send(&mut switch, PacketKind::Ack));
        println!("{name}: {FLOWS} packets of known flows: {known:.2?}");
        switch.apply(balancer(0, is_dsr, BACKENDS - 1));
        let compared = time(|| send(&mut switch, PacketKind::Ack));
        println!("{name}: {FLOWS} packets of known flows after a change: {compared:.2?}");
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

fn node() -> Node {
    Node { addresses: vec![Ipv4Addr::new(10, 0, 0, 4).into()], host_endpoints: Vec::new() }
}

fn id(kind: u128, number: u32) -> Guid {
    Guid::from_u128(kind << 64 | u128::from(number))
}

/// A network, remote endpoints and load balancers.
fn changes_of(is_dsr: bool) -> Vec<Change> {
    let network = Network { kind: NetworkType(NetworkType::L2_BRIDGE.to_owned()), ..Network::default() };
    let mut changes = vec![Change::Network(id(1, 0), Some(Box::new(network)))];
    for number in 0..LOAD_BALANCERS * BACKENDS {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 128, 0, 0).to_bits() + number);
        let endpoint = Endpoint {
            host_compute_network: Some(id(1, 0)),
            ip_configurations: vec![IpConfiguration { ip_address: address.to_string(), ..IpConfiguration::default() }],
            flags: EndpointFlags::REMOTE,
            ..Endpoint::default()
        };
        changes.push(Change::Endpoint(id(2, number), Some(Box::new(endpoint))));
    }
    changes.extend((0..LOAD_BALANCERS).map(|number| balancer(number, is_dsr, BACKENDS)));
    changes
}

fn vip(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 96, 0, 0).to_bits() + number)
}

fn balancer(number: u32, is_dsr: bool, backends: u32) -> Change {
    let backends = (0..backends).map(|backend| id(2, number * BACKENDS + backend).to_string());
    let mapping =
        PortMapping { protocol: Protocol::TCP, internal_port: 8080, external_port: 80, ..PortMapping::default() };
    let load_balancer = LoadBalancer {
        host_compute_endpoints: backends.collect(),
        frontend_vips: vec![vip(number).to_string()],
        port_mappings: vec![mapping],
        flags: if is_dsr { LoadBalancerFlags::DSR } else { LoadBalancerFlags::NONE },
        ..LoadBalancer::default()
    };
    Change::LoadBalancer(id(3, number), Some(Box::new(load_balancer)))
}

/// Sends one packet of each flow, from clients outside.
fn send(switch: &mut Switch, kind: PacketKind) {
    for flow in 0..FLOWS {
        let client = Ipv4Addr::from_bits(Ipv4Addr::new(172, 16, 0, 0).to_bits() + flow / 50);
        let from = SocketAddr::new(client.into(), 10_000 + (flow % 50) as u16);
        let to = SocketAddr::new(vip(flow % LOAD_BALANCERS).into(), 80);
        let verdict = switch.process(PortId::Uplink, &build(kind, from, to), Instant(0));
        assert!(matches!(verdict, Verdict::Deliver(_)), "{from} to {to}: {verdict:?}");
    }
}
