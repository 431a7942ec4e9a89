//! Which backend a load balancer selects.

use std::collections::BTreeMap;

use serde_json::json;
use vswitch::assumptions::{BackendOrder, Selection};
use vswitch::{Assumptions, PortId};

use crate::world::{POD_11, POD_12, PacketKind, REMOTE_21, REMOTE_22, World, balancer};

/// The backends of connections from clients and client ports.
fn backends(assumptions: Assumptions, order: &[u128], distribution: u32, clients: &[(u8, u16)]) -> Vec<String> {
    let mut world = World::l2bridge(assumptions);
    let document = json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": 1, "Distribution": distribution });
    world.balancer(0x100, &balancer(order, document));
    let send = |(host, port): &(u8, u16)| {
        let sent = world.send(PortId::Uplink, PacketKind::Syn, &format!("192.0.2.{host}:{port}"), "10.96.0.10:80");
        sent.rsplit_once(" -> ").map(|(_, backend)| backend.to_owned()).unwrap_or(sent)
    };
    clients.iter().map(send).collect()
}

const ALL: [u128; 4] = [POD_11, POD_12, REMOTE_21, REMOTE_22];

#[test]
fn connections_are_spread_evenly() {
    for &selection in Selection::ALL {
        let clients: Vec<_> = (0..4000).map(|port| (1, 1000 + port)).collect();
        let mut counts = BTreeMap::new();
        for backend in backends(Assumptions { selection, ..Assumptions::default() }, &ALL, 0, &clients) {
            *counts.entry(backend).or_insert(0) += 1;
        }
        assert!(counts.len() == 4 && counts.values().all(|count| (900..1100).contains(count)), "{counts:?}");
    }
}

#[test]
fn clients_with_affinity_have_one_backend_each() {
    for &selection in Selection::ALL {
        for distribution in [1, 2] {
            let clients: Vec<_> = (1..200).flat_map(|host| [(host, 1000), (host, 2000), (host, 3000)]).collect();
            let selected = backends(Assumptions { selection, ..Assumptions::default() }, &ALL, distribution, &clients);
            assert!(selected.chunks(3).all(|of_client| of_client.iter().all(|backend| *backend == of_client[0])));
            let mut different = selected;
            different.sort();
            different.dedup();
            assert_eq!(different.len(), 4);
        }
    }
}

#[test]
fn affinity_includes_the_protocol_only_if_the_type_says_so() {
    let of_protocols = [1, 2].map(|distribution| {
        let mut world = World::l2bridge(Assumptions::default());
        for (number, protocol) in [(0x100, 6), (0x200, 17)] {
            let document =
                json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": 1, "Distribution": distribution, "Protocol": protocol });
            world.balancer(number, &balancer(&ALL, document));
        }
        (1..100).all(|host| {
            let from = format!("192.0.2.{host}:4000");
            let sent = [PacketKind::Syn, PacketKind::Udp].map(|what| world.send(PortId::Uplink, what, &from, "10.96.0.10:80"));
            sent[0] == sent[1]
        })
    });
    assert_eq!(of_protocols, [false, true]);
}

#[test]
fn the_order_of_backends_matters_for_a_modulo_in_written_order_only() {
    let clients: Vec<_> = (0..100).map(|port| (1, 1000 + port)).collect();
    let reversed: Vec<_> = ALL.iter().rev().copied().collect();
    let mut seen = Vec::new();
    for &selection in Selection::ALL {
        for &order in BackendOrder::ALL {
            let assumptions = Assumptions { selection, order, ..Assumptions::default() };
            let is_same = backends(assumptions, &ALL, 0, &clients) == backends(assumptions, &reversed, 0, &clients);
            seen.push((selection, order, is_same));
        }
    }
    assert_eq!(
        seen,
        [
            (Selection::Modulo, BackendOrder::Written, false),
            (Selection::Modulo, BackendOrder::Sorted, true),
            (Selection::Rendezvous, BackendOrder::Written, true),
            (Selection::Rendezvous, BackendOrder::Sorted, true),
        ]
    );
}

#[test]
fn a_rendezvous_selection_moves_only_the_flows_of_a_removed_backend() {
    let clients: Vec<_> = (0..1000).map(|port| (1, 1000 + port)).collect();
    let assumptions = Assumptions { selection: Selection::Rendezvous, ..Assumptions::default() };
    let before = backends(assumptions, &ALL, 0, &clients);
    let after = backends(assumptions, &ALL[..3], 0, &clients);
    let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert!(moved.len() > 200 && moved.iter().all(|(before, _)| before.as_str() == "10.244.2.22:8080"));
}
