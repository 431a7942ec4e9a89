//! Flows: how long they live, and what becomes of them when the rules change.

use hcn::Kind;
use serde_json::{Value, json};
use smoltcp::wire::TcpPacket;
use vswitch::assumptions::{
    ExternalFlag, Gap, Modification, Recreation, RemovedBackend, RemovedEndpoint, ReplyConflict, ServiceDown,
};
use vswitch::{Assumptions, Change, Instant, PortId, Verdict};

use crate::world::{POD_11, POD_12, PacketKind, REMOTE_21, REMOTE_22, World, balancer, pod, tuple};

const VIP: &str = "10.96.0.10:80";

fn cluster_ip(backends: &[u128]) -> Value {
    balancer(backends, json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": 1 }))
}

fn external(backends: &[u128]) -> Value {
    balancer(backends, json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": 1, "MappingFlags": 16 }))
}

/// A client whose connection has the backend `10.244.2.21`, of this one and `10.244.1.12`.
fn client_of_21(world: &mut World) -> String {
    let clients = (4000..4100).map(|port| format!("10.244.1.11:{port}"));
    let of_21 = |client: &String| {
        let sent = world.send(pod(POD_11), PacketKind::Syn, client, VIP);
        sent.ends_with("10.244.2.21:8080")
    };
    let client = { clients }.find(of_21).expect("one of a hundred connections has the backend");
    world.send(pod(POD_11), PacketKind::Ack, &client, VIP);
    client
}

/// What happens to the next packet of a connection after a change.
fn after(assumptions: Assumptions, before: &Value, change: impl FnOnce(&mut World)) -> String {
    let mut world = World::l2bridge(assumptions);
    world.balancer(0x100, before);
    let client = client_of_21(&mut world);
    change(&mut world);
    let next = world.send(pod(POD_11), PacketKind::Ack, &client, VIP);
    match next.rsplit_once(" -> ") {
        Some((_, to)) if !next.starts_with("reset") => format!("to {to}"),
        _ if next.starts_with("reset") => "reset".to_owned(),
        _ => next,
    }
}

/// A connection with the backend 21 is selected again for 12 or 21; which one it gets depends on the hash, so only one backend is left over.
const OTHER: &str = "to 10.244.1.12:8080";
const SAME: &str = "to 10.244.2.21:8080";

#[test]
fn a_removed_backend_loses_its_flows_as_assumed() {
    for is_modified in [false, true] {
        let change = |world: &mut World| {
            if !is_modified {
                world.remove(Kind::LoadBalancer, 0x100);
            }
            world.balancer(0x100, &cluster_ip(&[POD_12]));
        };
        let seen = RemovedBackend::ALL.iter().map(|&removed_backend| {
            let assumptions = Assumptions { removed_backend, ..Assumptions::default() };
            (removed_backend, after(assumptions, &cluster_ip(&[POD_12, REMOTE_21]), change))
        });
        let expected = [
            (RemovedBackend::Rehashed, OTHER.to_owned()),
            (RemovedBackend::Stays, SAME.to_owned()),
            (RemovedBackend::Drops, "dropped: backend removed".to_owned()),
        ];
        assert_eq!(seen.collect::<Vec<_>>(), expected, "modified: {is_modified}");
    }
}

/// Of 200 connections, those that stay on their backend.
fn staying(assumptions: Assumptions, before: &Value, change: impl FnOnce(&mut World)) -> &'static str {
    staying_of(200, assumptions, before, change)
}

fn staying_of(count: usize, assumptions: Assumptions, before: &Value, change: impl FnOnce(&mut World)) -> &'static str {
    let mut world = World::l2bridge(assumptions);
    world.balancer(0x100, before);
    let clients: Vec<_> = (4000..4000 + count).map(|port| format!("10.244.1.11:{port}")).collect();
    let send = |world: &mut World, what| -> Vec<_> {
        clients.iter().map(|client| world.send(pod(POD_11), what, client, VIP)).collect()
    };
    let first = send(&mut world, PacketKind::Syn);
    send(&mut world, PacketKind::Ack);
    change(&mut world);
    let then = send(&mut world, PacketKind::Ack);
    let stay = first.iter().zip(&then).filter(|(first, then)| first == then).count();
    match stay {
        0 => "none",
        stay if stay == count => "all",
        _ => "some",
    }
}

#[test]
fn flows_stay_when_a_backend_is_added_as_assumed() {
    let three = [POD_12, REMOTE_21, REMOTE_22];
    let mut seen = Vec::new();
    for load_balancer in [cluster_ip, external] {
        for external_flag in ExternalFlag::ALL {
            for modification in Modification::ALL {
                for recreation in Recreation::ALL {
                    let assumptions = Assumptions {
                        modification: *modification,
                        recreation: *recreation,
                        external_flag: *external_flag,
                        ..Assumptions::default()
                    };
                    let before = load_balancer(&three[..2]);
                    let modified = staying(assumptions, &before, |world| world.balancer(0x100, &load_balancer(&three)));
                    let recreated = staying(assumptions, &before, |world| {
                        world.remove(Kind::LoadBalancer, 0x100);
                        world.balancer(0x100, &load_balancer(&three));
                    });
                    let replaced = staying(assumptions, &before, |world| {
                        world.remove(Kind::LoadBalancer, 0x100);
                        world.balancer(0x200, &load_balancer(&three));
                    });
                    seen.push([modified, recreated, replaced]);
                }
            }
        }
    }
    let of_assumptions =
        [["all", "some", "some"], ["all", "all", "all"], ["some", "some", "some"], ["some", "all", "all"]];
    let all = [["all"; 3]; 4];
    // Without the flag, its assumption has no effect.
    let expected: Vec<_> = [of_assumptions, of_assumptions, all, of_assumptions].concat();
    assert_eq!(seen, expected);
}

#[test]
fn flows_of_an_equal_set_of_backends_stay_under_all_assumptions() {
    let document = cluster_ip(&[POD_12, REMOTE_21]);
    for assumptions in Assumptions::all() {
        let replaced = staying_of(5, assumptions, &document, |world| {
            world.remove(Kind::LoadBalancer, 0x100);
            world.balancer(0x200, &document);
        });
        assert_eq!(replaced, "all", "{assumptions}");
    }
}

#[test]
fn packets_of_a_missing_load_balancer_are_dropped_or_reset() {
    let seen = Gap::ALL.iter().map(|&gap| {
        let mut world = World::l2bridge(Assumptions { gap, ..Assumptions::default() });
        world.balancer(0x100, &cluster_ip(&[POD_12]));
        world.open(pod(POD_11), "10.244.1.11:4000", VIP);
        world.remove(Kind::LoadBalancer, 0x100);
        let seen = [
            world.send(pod(POD_11), PacketKind::Ack, "10.244.1.11:4000", VIP),
            world.send(pod(POD_12), PacketKind::Ack, "10.244.1.12:8080", "10.244.1.11:4000"),
            world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4001", VIP),
            world.send(pod(POD_11), PacketKind::Rst, "10.244.1.11:4001", VIP),
        ];
        world.balancer(0x200, &cluster_ip(&[POD_12]));
        let next = world.send(pod(POD_11), PacketKind::Ack, "10.244.1.11:4000", VIP);
        (seen, next)
    });
    let dropped = "dropped: load balancer missing".to_owned();
    let next = "pod 12: 10.244.1.11:4000 -> 10.244.1.12:8080".to_owned();
    let reset = |port: u16| format!("reset: 10.96.0.10:80 -> 10.244.1.11:{port}");
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            ([dropped.clone(), dropped.clone(), dropped.clone(), dropped.clone()], next.clone()),
            ([reset(4000), dropped.clone(), reset(4001), dropped], next),
        ]
    );
}

#[test]
fn a_stopped_service_keeps_or_loses_its_rules() {
    let seen = ServiceDown::ALL.iter().map(|&service_down| {
        let mut world = World::l2bridge(Assumptions { service_down, ..Assumptions::default() });
        world.balancer(0x100, &cluster_ip(&[POD_12]));
        world.switch.apply(Change::ServiceStopped);
        // HNS loses the load balancer; the switch learns of it when the service runs again.
        world.remove(Kind::LoadBalancer, 0x100);
        let stopped = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", VIP);
        world.switch.apply(Change::ServiceStarted);
        let started = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4001", VIP);
        world.balancer(0x100, &cluster_ip(&[POD_12]));
        let again = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4002", VIP);
        [stopped, started, again]
    });
    let missing = "dropped: load balancer missing";
    let forwarded = |port: u16| format!("pod 12: 10.244.1.11:{port} -> 10.244.1.12:8080");
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            [forwarded(4000), missing.to_owned(), forwarded(4002)],
            [missing.to_owned(), missing.to_owned(), forwarded(4002)]
        ]
    );
}

#[test]
fn rules_that_come_back_with_the_service_count_as_created_again() {
    let load_balancer = cluster_ip(&[POD_12, REMOTE_21]);
    let seen = Recreation::ALL.iter().map(|&recreation| {
        let assumptions = Assumptions { service_down: ServiceDown::RulesLost, recreation, ..Assumptions::default() };
        staying(assumptions, &load_balancer, |world| {
            world.switch.apply(Change::ServiceStopped);
            world.balancer(0x100, &cluster_ip(&[POD_12, REMOTE_21, REMOTE_22]));
            world.switch.apply(Change::ServiceStarted);
        })
    });
    assert_eq!(seen.collect::<Vec<_>>(), ["some", "all"]);
}

#[test]
fn a_removed_endpoint_keeps_its_share_or_not() {
    let seen = RemovedEndpoint::ALL.iter().map(|&removed_endpoint| {
        let assumptions = Assumptions { removed_endpoint, ..Assumptions::default() };
        after(assumptions, &cluster_ip(&[POD_12, REMOTE_21]), |world| {
            world.remove(Kind::Endpoint, REMOTE_21);
            // An unrelated change of the load balancer's endpoints does not end the share.
            world.endpoint(POD_12, json!({ "IpConfigurations": [{ "IpAddress": "10.244.1.12" }] }));
        })
    });
    assert_eq!(seen.collect::<Vec<_>>(), [SAME, OTHER]);
}

#[test]
fn a_load_balancer_that_is_programmed_again_forgets_removed_endpoints() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &cluster_ip(&[REMOTE_21]));
    world.remove(Kind::Endpoint, REMOTE_21);
    world.balancer(0x100, &cluster_ip(&[REMOTE_21]));
    let seen = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", VIP);
    assert_eq!(seen, "dropped: no backend with an address of the family");
}

#[test]
fn an_endpoint_that_comes_after_its_load_balancer_is_used() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &cluster_ip(&[0x70]));
    world.endpoint(0x70, json!({ "IpConfigurations": [{ "IpAddress": "10.244.1.70" }] }));
    let seen = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", VIP);
    assert_eq!(seen, "pod 70: 10.244.1.11:4000 -> 10.244.1.70:8080");
}

#[test]
fn two_connections_with_the_same_replies_do_not_exist_at_once() {
    let seen = ReplyConflict::ALL.iter().map(|&reply_conflict| {
        let mut world = World::l2bridge(Assumptions { reply_conflict, ..Assumptions::default() });
        world.balancer(0x100, &cluster_ip(&[POD_12]));
        world.balancer(0x200, &balancer(&[POD_12], json!({ "FrontendVIPs": ["10.96.0.20"], "Flags": 1 })));
        world.open(pod(POD_11), "10.244.1.11:4000", "10.96.0.10:80");
        world.open(pod(POD_11), "10.244.1.11:4000", "10.96.0.20:80")
    });
    let request = "pod 12: 10.244.1.11:4000 -> 10.244.1.12:8080";
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            [request, "pod 11: 10.96.0.20:80 -> 10.244.1.11:4000"],
            ["dropped: another flow has the same reply addresses", "nothing to answer"]
        ]
    );
}

#[test]
fn a_connection_that_is_opened_again_may_get_another_backend() {
    let mut world = World::l2bridge(Assumptions { removed_backend: RemovedBackend::Stays, ..Assumptions::default() });
    world.balancer(0x100, &cluster_ip(&[POD_12]));
    world.open(pod(POD_11), "10.244.1.11:4000", VIP);
    world.balancer(0x100, &cluster_ip(&[REMOTE_21]));
    let seen = [PacketKind::Ack, PacketKind::Syn].map(|what| world.send(pod(POD_11), what, "10.244.1.11:4000", VIP));
    assert_eq!(seen, ["pod 12: 10.244.1.11:4000 -> 10.244.1.12:8080", "uplink: 10.244.1.11:4000 -> 10.244.2.21:8080"]);
}

#[test]
fn a_repeated_first_packet_keeps_the_source_port() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &balancer(&[POD_12], json!({ "FrontendVIPs": ["10.96.0.10"] })));
    let first = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", VIP);
    let again = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", VIP);
    assert_eq!(first, again);
    assert_eq!(world.switch.flow_count(), 1);
}

#[test]
fn a_flow_keeps_its_source_port_when_other_rules_change() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &balancer(&[POD_12], json!({ "FrontendVIPs": ["10.96.0.10"] })));
    let first = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", VIP);
    world.balancer(0x200, &balancer(&[REMOTE_21], json!({ "FrontendVIPs": ["10.96.0.20"] })));
    let then = world.send(pod(POD_11), PacketKind::Ack, "10.244.1.11:4000", VIP);
    assert_eq!(first, then);
}

#[test]
fn idle_and_closed_flows_are_forgotten() {
    let idle = |world: &mut World, seconds: u64| {
        world.now = Instant(world.now.0 + seconds * 1_000_000);
        world.switch.expire(world.now);
        world.switch.flow_count()
    };
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &cluster_ip(&[POD_12]));
    world.open(pod(POD_11), "10.244.1.11:4000", VIP);
    assert_eq!([idle(&mut world, 240), idle(&mut world, 1)], [1, 0]);
    world.open(pod(POD_11), "10.244.1.11:4000", VIP);
    world.send(pod(POD_11), PacketKind::Fin, "10.244.1.11:4000", VIP);
    assert_eq!(idle(&mut world, 3), 1);
    world.send(pod(POD_12), PacketKind::Fin, "10.244.1.12:8080", "10.244.1.11:4000");
    assert_eq!([idle(&mut world, 2), idle(&mut world, 1)], [1, 0]);
    world.open(pod(POD_11), "10.244.1.11:4000", VIP);
    world.send(pod(POD_12), PacketKind::Rst, "10.244.1.12:8080", "10.244.1.11:4000");
    assert_eq!(idle(&mut world, 3), 0);
}

#[test]
fn flows_of_a_removed_pod_end() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &cluster_ip(&[POD_12]));
    world.open(pod(POD_11), "10.244.1.11:4000", VIP);
    world.open(PortId::Host, "10.0.0.4:4000", VIP);
    world.remove(Kind::Endpoint, POD_11);
    let reply = world.send(pod(POD_12), PacketKind::Ack, "10.244.1.12:8080", "10.244.1.11:4000");
    assert_eq!(reply, "dropped: port removed");
    world.remove(Kind::Endpoint, POD_12);
    // The address is not one of this node any more.
    let request = world.send(PortId::Host, PacketKind::Ack, "10.0.0.4:4000", VIP);
    assert_eq!(request, "uplink: 10.0.0.4:4000 -> 10.244.1.12:8080");
}

#[test]
fn a_load_balancer_that_comes_after_the_first_packet_takes_the_second_one() {
    let mut world = World::l2bridge(Assumptions::default());
    let early = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", VIP);
    world.balancer(0x100, &cluster_ip(&[POD_12]));
    let late = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", VIP);
    assert_eq!(
        [early, late],
        ["uplink: 10.244.1.11:4000 -> 10.96.0.10:80", "pod 12: 10.244.1.11:4000 -> 10.244.1.12:8080"]
    );
}

#[test]
fn a_load_balancer_without_backends_takes_flows_too() {
    let mut world = World::l2bridge(Assumptions::default());
    world.open(pod(POD_11), "10.244.1.11:4000", VIP);
    world.balancer(0x100, &cluster_ip(&[0x70]));
    let seen = world.send(pod(POD_11), PacketKind::Ack, "10.244.1.11:4000", VIP);
    assert_eq!(seen, "dropped: no backend with an address of the family");
}

#[test]
fn flows_follow_a_service_that_stops_and_starts() {
    let seen = ServiceDown::ALL.iter().map(|&service_down| {
        let mut world = World::l2bridge(Assumptions { service_down, ..Assumptions::default() });
        world.balancer(0x100, &cluster_ip(&[POD_12]));
        world.open(pod(POD_11), "10.244.1.11:4000", VIP);
        [Change::ServiceStopped, Change::ServiceStarted].map(|change| {
            world.switch.apply(change);
            world.send(pod(POD_11), PacketKind::Ack, "10.244.1.11:4000", VIP)
        })
    });
    let forwarded = "pod 12: 10.244.1.11:4000 -> 10.244.1.12:8080";
    let expected = [[forwarded, forwarded], ["dropped: load balancer missing", forwarded]];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
}

#[test]
fn a_reset_answers_the_packet() {
    let mut world = World::l2bridge(Assumptions { gap: Gap::Reset, ..Assumptions::default() });
    world.balancer(0x100, &balancer(&[POD_12], json!({ "FrontendVIPs": ["10.96.0.10", "fd00:96::10"] })));
    world.remove(Kind::LoadBalancer, 0x100);
    let pairs = [("10.244.1.11:4000", VIP), ("[fd00:1::11]:4000", "[fd00:96::10]:80")];
    let mut seen = Vec::new();
    for (from, to) in pairs {
        for kind in [PacketKind::Syn, PacketKind::Ack] {
            let sent = crate::world::packet(kind, from, to);
            let Verdict::Reply(reset) = world.switch.process(pod(POD_11), &sent, world.now) else {
                panic!("a reset of {kind:?}")
            };
            // The addresses are checked with the checksums.
            assert_eq!(tuple(&reset), tuple(&sent).reversed());
            let payload = if from.starts_with('[') { &reset[40..] } else { &reset[20..] };
            let tcp = TcpPacket::new_checked(payload).unwrap();
            seen.push((tcp.rst(), tcp.seq_number().0, tcp.ack().then(|| tcp.ack_number().0)));
        }
    }
    // RFC 9293, section 3.10.7.1: after a SYN, its number is acknowledged; otherwise, the reset has the number that the client expects.
    let (of_syn, of_ack) = ((true, 0, Some(1001)), (true, 2000, None));
    assert_eq!(seen, [of_syn, of_ack, of_syn, of_ack]);
}
