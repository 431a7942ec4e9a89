//! What a fuzz target calls: packets of any bytes.

use hcn::Guid;
use hcn::schema::{
    Endpoint, EndpointFlags, IpConfiguration, LoadBalancer, LoadBalancerFlags, Network, NetworkType, PortMapping,
    Protocol,
};

use crate::assumptions::Gap;
use crate::packet::read;
use crate::trace::Step;
use crate::{Assumptions, Change, Instant, Node, PortId, Switch, Verdict};

const POD: Guid = Guid::from_u128(1);
const REMOTE: Guid = Guid::from_u128(2);
const NETWORK: Guid = Guid::from_u128(3);
const LOAD_BALANCER: Guid = Guid::from_u128(4);

/// Packets, each after a byte that selects its port, whether the load balancer is removed or created before, and whether time passes; and a
/// byte with its length. What leaves must have the addresses that the trace says.
pub fn packets(mut bytes: &[u8]) {
    let mut switch = switch();
    let (mut now, mut has_load_balancer) = (Instant(0), true);
    while let [options, len, rest @ ..] = bytes {
        let (packet, after) = rest.split_at(usize::from(*len).min(rest.len()));
        bytes = after;
        if options & 0x40 != 0 {
            has_load_balancer = !has_load_balancer;
            switch.apply(load_balancer(has_load_balancer));
        }
        if options & 0x80 != 0 {
            now = now + 100_000_000;
            switch.expire(now);
        }
        let port = match options % 4 {
            0 => PortId::Endpoint(POD),
            1 => PortId::Host,
            2 => PortId::Uplink,
            _ => PortId::Tunnel,
        };
        let (verdict, trace) = switch.process_with_trace(port, packet, now);
        assert!(agree(packet, &verdict, trace.steps.last()), "{verdict:?} after\n{trace}");
    }
}

/// Whether a verdict is what the last step of the trace says.
fn agree(packet: &[u8], verdict: &Verdict, step: Option<&Step>) -> bool {
    let tuple = |packet: &[u8]| read(packet).map(|header| header.tuple);
    match (verdict, step) {
        (Verdict::Deliver(delivery), Some(Step::Left(port, sent, encapsulation))) => {
            (delivery.port, delivery.encapsulation) == (*port, *encapsulation)
                && delivery.packet.len() == packet.len()
                && tuple(&delivery.packet) == Some(*sent)
        }
        (Verdict::Reply(reset), Some(Step::Reset)) => tuple(reset) == tuple(packet).map(|sent| sent.reversed()),
        (Verdict::Drop(reason), Some(Step::Dropped(said))) => reason == said,
        _ => false,
    }
}

/// A node with a pod, a pod on another node, and a load balancer for both.
fn switch() -> Switch {
    let addresses = ["10.0.0.4", "fd00::4"].into_iter().filter_map(|address| address.parse().ok());
    let node = Node { addresses: addresses.collect(), host_endpoints: Vec::new() };
    let mut switch = Switch::new(node, Assumptions { gap: Gap::Reset, ..Assumptions::default() });
    let network = Network { kind: NetworkType(NetworkType::L2_BRIDGE.to_owned()), ..Network::default() };
    switch.apply(Change::Network(NETWORK, Some(Box::new(network))));
    for (id, node, flags) in [(POD, 1, EndpointFlags::NONE), (REMOTE, 2, EndpointFlags::REMOTE)] {
        let addresses = [format!("10.244.{node}.11"), format!("fd00:{node}::11")];
        let configuration = |ip_address| IpConfiguration { ip_address, ..IpConfiguration::default() };
        let endpoint = Endpoint {
            host_compute_network: Some(NETWORK),
            ip_configurations: addresses.into_iter().map(configuration).collect(),
            flags,
            ..Endpoint::default()
        };
        switch.apply(Change::Endpoint(id, Some(Box::new(endpoint))));
    }
    switch.apply(load_balancer(true));
    switch
}

fn load_balancer(exists: bool) -> Change {
    let mapping = |protocol, external_port| PortMapping {
        protocol,
        internal_port: 8080,
        external_port,
        ..PortMapping::default()
    };
    let document = LoadBalancer {
        host_compute_endpoints: vec![POD.to_string(), REMOTE.to_string()],
        frontend_vips: vec!["10.96.0.10".to_owned(), "fd00:96::10".to_owned()],
        port_mappings: vec![mapping(Protocol::TCP, 80), mapping(Protocol::UDP, 53)],
        flags: LoadBalancerFlags::NONE,
        ..LoadBalancer::default()
    };
    Change::LoadBalancer(LOAD_BALANCER, exists.then(|| Box::new(document)))
}
