//! Random steps. There are few addresses and ports, so that flows meet.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use vswitch::PortId;

use super::model::LoadBalancer;
use crate::world::{PacketKind, pod};

/// Two pods, the endpoint of the host, and three remote endpoints.
pub(crate) const ENDPOINTS: [u128; 6] = [0x11, 0x12, 0x13, 0x21, 0x22, 0x23];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// An endpoint exists, with or without a policy, or is removed.
    Endpoint(u128, Option<bool>),
    LoadBalancer(u128, Option<LoadBalancer>),
    /// The service runs or not.
    Service(bool),
    /// Seconds pass.
    Wait(u64),
    Packet(Packet),
}

#[derive(Debug, Clone)]
pub(crate) enum Packet {
    Request {
        port: PortId,
        what: PacketKind,
        from: SocketAddr,
        to: SocketAddr,
    },
    /// The answer to one of the last packets that left.
    Answer {
        of: usize,
        what: PacketKind,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let endpoint = (prop::sample::select(&ENDPOINTS[..]), prop::option::weighted(0.7, any::<bool>()));
    prop_oneof![
        3 => endpoint.prop_map(|(number, state)| Step::Endpoint(number, state)),
        6 => load_balancer().prop_map(|balancer| Step::LoadBalancer(balancer.number, Some(balancer))),
        2 => (0x100_u128..0x104).prop_map(|number| Step::LoadBalancer(number, None)),
        2 => any::<bool>().prop_map(Step::Service),
        1 => prop::sample::select(&[1, 3, 241][..]).prop_map(Step::Wait),
        20 => request().prop_map(Step::Packet),
        10 => answer().prop_map(Step::Packet),
    ]
}

fn load_balancer() -> impl Strategy<Value = LoadBalancer> {
    let backends = prop::sample::subsequence(ENDPOINTS.to_vec(), 1..4).prop_shuffle();
    let vips = prop_oneof![
        4 => Just(vec!["10.96.0.10"]),
        1 => Just(vec!["fd00:96::10"]),
        1 => Just(vec!["10.96.0.10", "fd00:96::10"]),
        2 => Just(vec![]),
        1 => Just(vec!["10.0.0.4"]),
    ];
    let source_vip = prop_oneof![3 => Just(Some("10.244.1.250")), 1 => Just(Some("fd00:1::250")), 2 => Just(None)];
    let flags = prop::sample::select(&[0, 0, 16, 18, 1, 28][..]);
    let protocol = prop_oneof![3 => Just(6), 1 => Just(17)];
    let rest = (any::<bool>(), any::<bool>(), flags, 0_u32..3, protocol);
    (0x100_u128..0x104, backends, vips, source_vip, rest).prop_map(
        |(number, backends, vips, source_vip, (is_dsr, is_ipv6, mapping_flags, distribution, protocol))| LoadBalancer {
            number,
            backends,
            vips: vips.into_iter().map(address).collect(),
            source_vip: source_vip.map(address),
            is_dsr,
            is_ipv6,
            mapping_flags,
            distribution,
            protocol,
        },
    )
}

fn request() -> impl Strategy<Value = Packet> {
    let senders: Vec<(PortId, &str)> = vec![
        (pod(0x11), "10.244.1.11"),
        (pod(0x11), "fd00:1::11"),
        (pod(0x13), "10.244.1.13"),
        (PortId::Host, "10.0.0.4"),
        (PortId::Host, "fd00::4"),
        (PortId::Uplink, "192.0.2.1"),
        (PortId::Uplink, "2001:db8::1"),
        (PortId::Uplink, "10.244.2.11"),
        (PortId::Tunnel, "10.244.2.11"),
        (PortId::Tunnel, "192.0.2.1"),
    ];
    let targets = [
        ["10.96.0.10", "fd00:96::10"],
        ["10.96.0.10", "fd00:96::10"],
        ["10.96.0.10", "fd00:96::10"],
        ["10.0.0.4", "fd00::4"],
        ["10.0.0.14", "fd00::4"],
        ["10.244.1.11", "fd00:1::11"],
        ["10.244.2.12", "fd00:2::12"],
        ["192.0.2.9", "2001:db8::9"],
    ];
    let what = prop::sample::select(
        &[
            PacketKind::Syn,
            PacketKind::Syn,
            PacketKind::Ack,
            PacketKind::Ack,
            PacketKind::Fin,
            PacketKind::Rst,
            PacketKind::Udp,
        ][..],
    );
    let ports = (prop::sample::select(&[4000, 4001][..]), prop::sample::select(&[80, 80, 8080][..]));
    (prop::sample::select(senders), prop::sample::select(targets.to_vec()), what, ports).prop_map(
        |((port, from), to, what, (from_port, to_port))| {
            let from = address(from);
            let to = if from.is_ipv4() { to[0] } else { to[1] };
            Packet::Request {
                port,
                what,
                from: SocketAddr::new(from, from_port),
                to: SocketAddr::new(address(to), to_port),
            }
        },
    )
}

fn answer() -> impl Strategy<Value = Packet> {
    let what = prop::sample::select(&[PacketKind::SynAck, PacketKind::Ack, PacketKind::Fin, PacketKind::Rst][..]);
    (0_usize..4, what).prop_map(|(of, what)| Packet::Answer { of, what })
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}
