//! Stories: what the cluster says, what HNS then holds, and what happens when HNS has a mind of its own.

use hcn::schema::Protocol;
use hcn::{ApiVersion, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::Condition;
use proxy::model::Family;
use proxy::testing::{backend, service, slice};
use serde_json::json;

use crate::rig::{NETWORK, Rig, own_host, settings};

fn web(rig: &mut Rig) {
    let slice = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1").on("there"));
    rig.cluster(vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()], vec![slice.build()]);
}

#[test]
fn a_service_and_its_backends_come_and_go() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
    rig.proxy.reset_slices(vec![]);
    rig.run();
    assert_eq!(rig.objects(), Vec::<String>::new());
    web(&mut rig);
    rig.run();
    rig.proxy.reset_services(vec![]);
    rig.run();
    assert_eq!(rig.objects(), Vec::<String>::new());
}

#[test]
fn a_changed_backend_is_modified_in_place_or_replaced_where_hns_cannot() {
    for (version, functions) in [
        ("15.5", vec!["HcnCreateEndpoint", "HcnModifyLoadBalancer", "HcnDeleteEndpoint"]),
        ("14.0", vec!["HcnCreateEndpoint", "HcnDeleteLoadBalancer", "HcnCreateLoadBalancer", "HcnDeleteEndpoint"]),
    ] {
        let mut rig = Rig::new("L2Bridge", version, ApiVersion::V2);
        web(&mut rig);
        rig.sync();
        rig.calls();
        let other = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.2").on("there")).build();
        rig.proxy.apply_slice(other);
        rig.run();
        let writes = rig.emulator.journal().into_iter().filter(|entry| entry.is_write);
        assert_eq!(writes.map(|entry| entry.function).collect::<Vec<_>>(), functions);
        assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
    }
}

#[test]
fn a_modify_without_effect_is_detected_and_the_load_balancer_replaced() {
    let mut rig = Rig::l2bridge();
    rig.emulator.change_quirks(|q| q.silent_modify = true);
    web(&mut rig);
    rig.sync();
    let two = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).backend(backend("10.244.2.2"));
    rig.proxy.apply_slice(two.build());
    rig.run();
    assert!(!rig.proxy.capabilities().unwrap().modify);
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.1,10.244.2.2:8080 flags 1/0".into()));
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn an_address_that_becomes_local_loses_its_remote_endpoint() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.local("pod", &["10.244.2.1"]);
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "local 10.244.2.1"]);
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn the_other_backends_serve_while_a_local_one_waits_for_its_endpoint() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    let local = slice("ns/web-2", "ns/web").port(8080).backend(backend("10.244.1.11").on("here"));
    rig.proxy.apply_slice(local.build());
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
    let conditions: Vec<_> = rig.proxy.conditions().iter().map(ToString::to_string).collect();
    assert_eq!(
        conditions,
        [
            "Service ns/web: backend 10.244.1.11 is not used: it is on this node, and the CNI has not created its HNS endpoint yet"
        ]
    );
    rig.local("pod", &["10.244.1.11"]);
    let proxy::Next::At(due) = rig.run().next else { panic!("a retry is due") };
    rig.now = due;
    rig.run();
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.1.11,10.244.2.1:8080 flags 1/0".into()));
    assert!(rig.proxy.conditions().is_empty());
}

#[test]
fn a_lost_load_balancer_is_created_again() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    let before = rig.objects();
    for document in rig.emulator.documents(Kind::LoadBalancer) {
        rig.emulator.remove(Kind::LoadBalancer, document["ID"].as_str().unwrap().parse().unwrap());
    }
    rig.sync();
    assert_eq!(rig.objects(), before);
}

#[test]
fn a_foreign_load_balancer_is_adopted_replaced_or_not_touched() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    let pod = rig.local("pod", &["10.244.1.11"]);
    let slice = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.1.11").on("here"));
    rig.proxy.apply_slice(slice.build());
    let document = |vip: &str, internal: u16| {
        json!({"HostComputeEndpoints": [pod], "FrontendVIPs": [vip], "Flags": 1,
               "PortMappings": [{"Protocol": 6, "InternalPort": internal, "ExternalPort": 80}],
               "SchemaVersion": {"Major": 2, "Minor": 0}})
    };
    let equal = rig.emulator.add(Kind::LoadBalancer, document("10.96.0.1", 8080));
    let foreign = rig.emulator.add(Kind::LoadBalancer, document("10.96.0.2", 8080));
    rig.calls();
    assert!(rig.sync().outcomes.is_empty());
    assert_eq!(rig.calls().1, 0);

    rig.emulator.remove(Kind::LoadBalancer, equal);
    let other = rig.emulator.add(Kind::LoadBalancer, document("10.96.0.1", 9999));
    rig.sync();
    assert!(rig.emulator.document(Kind::LoadBalancer, other).is_none());
    assert!(rig.emulator.document(Kind::LoadBalancer, foreign).is_some());
    assert_eq!(
        rig.objects(),
        [
            "lb 10.96.0.1:80/6 -> 10.244.1.11:8080 flags 1/0",
            "lb 10.96.0.2:80/6 -> 10.244.1.11:8080 flags 1/0",
            "local 10.244.1.11"
        ]
    );
}

#[test]
fn external_ips_are_served_unless_that_is_switched_off() {
    for external_ips in [true, false] {
        let mut rig = Rig::l2bridge();
        rig.proxy = proxy::Reconciler::new(proxy::Settings { external_ips, ..settings() }, own_host());
        let web = service("ns/web").cluster_ip("10.96.0.1").port(80).external_ip("198.51.100.7").build();
        let backends = slice("ns/web-1", "ns/web").port(80).backend(backend("10.244.2.1")).build();
        rig.cluster(vec![web], vec![backends]);
        rig.sync();
        let is_there = |address: &str| rig.objects().iter().any(|line| line.starts_with(&format!("lb {address}:80/6")));
        assert_eq!((is_there("10.96.0.1"), is_there("198.51.100.7")), (true, external_ips));
    }
}

#[test]
fn a_frontend_claimed_twice_belongs_to_the_older_service() {
    let mut rig = Rig::l2bridge();
    let claimant = |name: &str, ip: &str, created| {
        service(name).cluster_ip(ip).port(80).external_ip("198.51.100.7").with(|s| s.created = created).build()
    };
    let backends = |name: &str, ip: &str| slice(&format!("{name}-x"), name).port(80).backend(backend(ip)).build();
    rig.cluster(
        vec![claimant("ns/new", "10.96.0.1", 20), claimant("ns/old", "10.96.0.2", 10)],
        vec![backends("ns/new", "10.244.2.1"), backends("ns/old", "10.244.2.2")],
    );
    rig.sync();
    assert!(rig.objects().contains(&"lb 198.51.100.7:80/6 -> 10.244.2.2:80 flags 0/16".into()));
    assert_eq!(
        rig.proxy.conditions().iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "Service ns/new: 198.51.100.7:80/TCP is not programmed: the older Service ns/old claims it; use another address or port"
        ]
    );
    rig.proxy.delete_service(&proxy::model::ServiceName::new("ns", "old"));
    rig.run();
    assert!(rig.objects().contains(&"lb 198.51.100.7:80/6 -> 10.244.2.1:80 flags 0/16".into()));
    assert!(rig.proxy.conditions().is_empty());
}

#[test]
fn a_failing_service_delays_no_other_and_is_retried() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.proxy.apply_service(service("ns/api").cluster_ip("10.96.0.2").port(80).build());
    rig.proxy.apply_slice(slice("ns/api-1", "ns/api").port(80).backend(backend("10.244.2.9")).build());
    rig.emulator.fail_nth("HcnCreateLoadBalancer", 1, hcn::Hresult::HCN_E_PORT_NOT_FOUND);
    let report = rig.sync();
    assert_eq!(report.failures().count(), 1);
    assert!(rig.objects().iter().any(|line| line.starts_with("lb 10.96.0.1:80")));
    let proxy::Next::At(due) = report.next else { panic!("a retry is due") };
    assert!(rig.run().outcomes.is_empty(), "not before it is due");
    rig.now = due;
    rig.run();
    assert!(rig.objects().iter().any(|line| line.starts_with("lb 10.96.0.2:80")));
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn the_other_backends_serve_without_an_endpoint_that_failed() {
    let mut rig = Rig::l2bridge();
    let two = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).backend(backend("10.244.2.2"));
    rig.cluster(vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()], vec![two.build()]);
    rig.emulator.fail_nth("HcnCreateEndpoint", 1, hcn::Hresult::E_OUTOFMEMORY);
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
    rig.settle();
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.1,10.244.2.2:8080 flags 1/0".into()));
}

#[test]
fn an_unavailable_hns_does_not_change_the_observed_state() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    let before = rig.objects();
    for function in ["HcnEnumerateNetworks", "HcnEnumerateEndpoints", "HcnEnumerateLoadBalancers"] {
        rig.emulator.fail_nth(function, 1, hcn::Hresult::RPC_S_SERVER_UNAVAILABLE);
        assert!((0..12).any(|_| rig.proxy.audit(&rig.client).is_err()), "each kind of list is called in a cycle");
        assert!(rig.run().outcomes.is_empty());
    }
    assert!(rig.sync().outcomes.is_empty());
    assert_eq!(rig.objects(), before);
}

#[test]
fn objects_are_compared_by_content_if_hns_chooses_ids() {
    let mut rig = Rig::l2bridge();
    rig.emulator.change_quirks(|q| q.chooses_ids = true);
    web(&mut rig);
    rig.sync();
    let before = rig.objects();
    assert_eq!(before, ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
    rig.calls();
    rig.restart();
    assert!(rig.sync().outcomes.is_empty());
    assert_eq!(rig.calls().1, 0);
    assert_eq!(rig.objects(), before);
}

#[test]
fn an_overlay_network_has_endpoints_for_the_source_vip_and_each_service() {
    let mut rig = Rig::new("Overlay", "15.5", ApiVersion::V2);
    let outside = slice("ns/out-1", "ns/out").port(5432).backend(backend("192.0.2.20"));
    rig.cluster(
        vec![
            service("ns/web").cluster_ip("10.96.0.1").port(80).build(),
            service("ns/out").cluster_ip("10.96.0.2").port(80).build(),
            service("ns/none").cluster_ip("10.96.0.3").cluster_ip("fd00::3").port(80).build(),
        ],
        vec![slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).build(), outside.build()],
    );
    rig.sync();
    assert_eq!(
        rig.objects(),
        [
            "lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0 from 10.244.1.250",
            "lb 10.96.0.2:80/6 -> 192.0.2.20:5432 flags 1/0 from 192.168.77.1",
            "local 10.244.1.250",
            "remote 10.244.2.1 on 192.168.77.2",
            "remote 10.96.0.1 on 192.168.77.1",
            "remote 10.96.0.2 on 192.168.77.1",
            "remote 10.96.0.3 on 192.168.77.1",
            "remote 192.0.2.20 on 192.168.77.1",
        ]
    );
    rig.proxy.reset_services(vec![]);
    rig.run();
    assert_eq!(rig.objects(), ["local 10.244.1.250"]);
    rig.restart();
    assert!(rig.sync().outcomes.is_empty());
}

#[test]
fn a_recreated_network_is_programmed() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    let before = rig.objects();
    let mut document = rig.emulator.document(Kind::Network, NETWORK).unwrap();
    rig.emulator.remove(Kind::Network, NETWORK);
    assert!(matches!(rig.proxy.audit(&rig.client), Err(proxy::AuditError::NetworkAbsent { .. })));
    assert!(rig.run().failures().next().is_none());
    document["ID"] = json!("7b60c1d9-602e-5110-8c89-a9475b890000");
    rig.emulator.add(Kind::Network, document);
    rig.settle();
    assert_eq!(rig.objects(), before);
}

#[test]
fn a_protocol_that_hns_does_not_support_is_reported() {
    let mut rig = Rig::l2bridge();
    rig.cluster(
        vec![service("ns/s").cluster_ip("10.96.0.1").named_port("", Protocol::SCTP, 38412).build()],
        vec![slice("ns/s-1", "ns/s").named_port("", Protocol::SCTP, 38412).backend(backend("10.0.0.1")).build()],
    );
    rig.sync();
    assert_eq!(rig.objects(), Vec::<String>::new());
    let condition = Condition::ProtocolUnsupported { port: 38412, protocol: Protocol::SCTP };
    assert_eq!(rig.proxy.conditions()[0].condition, condition);
}

#[test]
fn the_largest_group_of_backends_with_one_port_serves() {
    let mut rig = Rig::l2bridge();
    let group = |name: &str, port, ips: &[&str]| {
        ips.iter().fold(slice(name, "ns/web").port(port), |s, ip| s.backend(backend(ip))).build()
    };
    rig.cluster(
        vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()],
        vec![group("ns/a", 8080, &["10.0.0.1", "10.0.0.2"]), group("ns/b", 9090, &["10.0.0.3"])],
    );
    rig.sync();
    assert_eq!(rig.objects()[0], "lb 10.96.0.1:80/6 -> 10.0.0.1,10.0.0.2:8080 flags 1/0");
    let condition = &rig.proxy.conditions()[0].condition;
    assert!(matches!(condition, Condition::MixedTargetPorts { port: 8080, dropped: 1, .. }), "{condition:?}");
}

#[test]
fn local_policies_need_a_local_backend() {
    let mut rig = Rig::l2bridge();
    rig.local("pod", &["10.244.1.11"]);
    let lb = service("ns/web").cluster_ip("10.96.0.1").port(80).node_port(30080).ingress_ip("203.0.113.1");
    let slice = slice("ns/web-1", "ns/web")
        .port(8080)
        .backend(backend("10.244.1.11").on("here"))
        .backend(backend("10.244.2.1").on("there"));
    rig.cluster(vec![lb.with(|s| s.external_local = true).build()], vec![slice.build()]);
    rig.sync();
    assert_eq!(
        rig.objects(),
        [
            "lb 10.96.0.1:80/6 -> 10.244.1.11,10.244.2.1:8080 flags 1/0",
            "lb 203.0.113.1:80/6 -> 10.244.1.11:8080 flags 1/16",
            "lb node:30080/6 -> 10.244.1.11:8080 flags 1/18",
            "local 10.244.1.11",
            "remote 10.244.2.1",
        ]
    );
}

#[test]
fn an_endpoint_stays_while_its_load_balancer_cannot_be_modified() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.emulator.fail_nth("HcnModifyLoadBalancer", 1, hcn::Hresult::HCN_E_PORT_NOT_FOUND);
    let other = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.2").on("there")).build();
    rig.proxy.apply_slice(other);
    rig.run();
    assert_eq!(
        rig.objects(),
        ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1", "remote 10.244.2.2"]
    );
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn an_object_created_by_a_call_that_failed_is_adopted() {
    for function in ["HcnCreateEndpoint", "HcnCreateLoadBalancer"] {
        let mut rig = Rig::l2bridge();
        web(&mut rig);
        rig.emulator.inject(Fault {
            which: Which::Function(function.into()),
            from: 1,
            every: 0,
            effect: Effect::FailAfter(hcn::Hresult::RPC_S_CALL_FAILED),
        });
        let report = rig.sync();
        assert_eq!(report.failures().count(), 1);
        let proxy::Next::At(due) = report.next else { panic!("a retry is due") };
        rig.now = due;
        rig.calls();
        assert!(rig.run().failures().next().is_none());
        assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
        assert!(rig.proxy.is_in_sync());
        let deletes = rig.emulator.journal().iter().filter(|entry| entry.function.starts_with("HcnDelete")).count();
        assert_eq!(deletes, 0);
    }
}

#[test]
fn a_foreign_load_balancer_newer_than_the_last_audit_is_listed_and_replaced() {
    let mut rig = Rig::l2bridge();
    rig.sync();
    let pod = rig.local("pod", &["10.244.1.11"]);
    let foreign = rig.emulator.add(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [pod], "FrontendVIPs": ["10.96.0.1"],
               "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 80}],
               "SchemaVersion": {"Major": 2, "Minor": 0}}),
    );
    web(&mut rig);
    rig.run();
    assert!(rig.emulator.document(Kind::LoadBalancer, foreign).is_none());
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0".into()));
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn the_id_of_a_modified_load_balancer_that_reappears_is_not_trusted() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    let two = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).backend(backend("10.244.2.2"));
    rig.proxy.apply_slice(two.build());
    rig.run();
    // HNS restarts: the load balancer is missing for a while, and its old backends are desired when it reappears.
    rig.emulator.stop(&[Kind::LoadBalancer]);
    rig.emulator.start();
    rig.proxy.audit(&rig.client).unwrap();
    web(&mut rig);
    rig.emulator.reappear();
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
}

fn two_backends(rig: &mut Rig) {
    let two = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).backend(backend("10.244.2.2"));
    rig.proxy.apply_slice(two.build());
    rig.run();
}

const ONE: [&str; 2] = ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"];

#[test]
fn the_id_of_a_modified_load_balancer_is_not_trusted_after_a_restart() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    two_backends(&mut rig);
    // While no process runs, the second backend goes: the id equals the desired one, its content does not.
    rig.restart();
    web(&mut rig);
    rig.settle();
    assert_eq!(rig.objects(), ONE);
}

#[test]
fn modified_load_balancers_cost_no_read_at_a_restart() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    two_backends(&mut rig);
    rig.restart();
    rig.calls();
    assert!(rig.sync().outcomes.is_empty());
    assert_eq!(rig.calls(), (6, 0));
}

#[test]
fn a_modify_that_took_effect_although_it_failed_is_compared_again() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.emulator.inject(Fault {
        which: Which::Function("HcnModifyLoadBalancer".into()),
        from: 1,
        every: 0,
        effect: Effect::FailAfter(hcn::Hresult::RPC_S_CALL_FAILED),
    });
    two_backends(&mut rig);
    web(&mut rig);
    rig.settle();
    assert_eq!(rig.objects(), ONE);
}

#[test]
fn a_failed_endpoint_removes_no_working_load_balancer() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.emulator.fail_nth("HcnCreateEndpoint", 1, hcn::Hresult::E_OUTOFMEMORY);
    let other = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.2").on("there")).build();
    rig.proxy.apply_slice(other);
    rig.run();
    assert_eq!(rig.objects(), ONE);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn handles_are_opened_again_after_a_restart_of_hns() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.emulator.stop(&[]);
    rig.emulator.start();
    two_backends(&mut rig);
    assert!(rig.proxy.is_in_sync());
    assert!(rig.objects().contains(&"remote 10.244.2.2".into()));
}

#[test]
fn nothing_is_written_during_an_outage_and_everything_after_it() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.proxy.audit(&rig.client).unwrap();
    rig.emulator.stop(&[]);
    rig.calls();
    assert_eq!(rig.run().failures().count(), 1, "the first refusal is enough");
    let proxy::Next::At(due) = rig.run().next else { panic!("a retry is due") };
    assert_eq!(rig.calls().1, 0, "not even the network can be opened");
    rig.emulator.start();
    rig.now = due;
    rig.run();
    rig.settle();
    assert_eq!(rig.objects(), ONE);
}

#[test]
fn new_subnets_of_other_nodes_are_read() {
    let mut rig = Rig::new("Overlay", "15.5", ApiVersion::V2);
    let slice = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.9.1").on("there"));
    rig.cluster(vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()], vec![slice.build()]);
    rig.sync();
    assert!(rig.objects().contains(&"remote 10.244.9.1 on 192.168.77.1".into()), "not known yet");
    let mut network = rig.emulator.document(Kind::Network, NETWORK).unwrap();
    network["Policies"].as_array_mut().unwrap().push(json!({"Type": "RemoteSubnetRoute", "Settings": {
        "DestinationPrefix": "10.244.9.0/24", "IsolationId": 4096, "ProviderAddress": "192.168.77.9"}}));
    rig.emulator.add(Kind::Network, network);
    for _ in 0..6 {
        rig.sync();
    }
    rig.settle();
    let objects = rig.objects();
    assert!(objects.contains(&"remote 10.244.9.1 on 192.168.77.9".into()), "{objects:#?}");
    assert!(
        objects.contains(&"lb 10.96.0.1:80/6 -> 10.244.9.1:8080 flags 1/0 from 10.244.1.250".into()),
        "{objects:#?}"
    );
}

#[test]
fn one_serving_port_is_enough_for_the_health_check_of_all_ports() {
    let mut rig = Rig::l2bridge();
    let mut settings = crate::rig::settings();
    settings.forward_health_check_vip = true;
    rig.proxy = proxy::Reconciler::new(settings, crate::rig::own_host());
    rig.local("cbr0_ep", &["10.244.1.2"]);
    let lb = service("ns/web").cluster_ip("10.96.0.1").ingress_ip("203.0.113.1");
    let lb = lb.named_port("admin", Protocol::TCP, 81).named_port("http", Protocol::TCP, 80);
    let slice = slice("ns/web-1", "ns/web").named_port("http", Protocol::TCP, 8080).backend(backend("10.244.2.1"));
    rig.cluster(vec![lb.build()], vec![slice.build()]);
    rig.sync();
    assert!(
        rig.objects().contains(&"lb 203.0.113.1:10256/6 -> 10.244.1.2:10256 flags 0/0".into()),
        "{:#?}",
        rig.objects()
    );
}

#[test]
fn nothing_is_deleted_before_the_cluster_is_known() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig = Rig::on(rig.emulator.clone(), ApiVersion::V2);
    rig.proxy.reset_services(vec![]);
    assert!(rig.sync().outcomes.is_empty());
    assert_eq!(rig.objects(), ONE);
}

#[test]
fn an_invalid_document_is_read_again_in_the_next_cycle() {
    let mut rig = Rig::l2bridge();
    let pod = rig.local("pod", &[]);
    let slice = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.1.11").on("here"));
    rig.cluster(vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()], vec![slice.build()]);
    rig.sync();
    assert_eq!(rig.proxy.observed().skipped().count(), 1);
    let mut document = rig.emulator.document(Kind::Endpoint, pod).unwrap();
    document["IpConfigurations"] = json!([{"IpAddress": "10.244.1.11"}]);
    rig.emulator.add(Kind::Endpoint, document);
    for _ in 0..12 {
        rig.sync();
    }
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.1.11:8080 flags 1/0".into()));
}

#[test]
fn an_adopted_endpoint_stays_while_a_foreign_load_balancer_uses_it() {
    let mut rig = Rig::l2bridge();
    let theirs = rig.emulator.add(
        Kind::Endpoint,
        json!({"HostComputeNetwork": NETWORK, "Flags": 1, "MacAddress": "02-11-0a-f4-02-01",
               "IpConfigurations": [{"IpAddress": "10.244.2.1"}], "SchemaVersion": {"Major": 2, "Minor": 0}}),
    );
    rig.emulator.add(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [theirs], "FrontendVIPs": ["172.16.0.1"],
               "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 80}],
               "SchemaVersion": {"Major": 2, "Minor": 0}}),
    );
    web(&mut rig);
    rig.sync();
    assert!(rig.objects().contains(&ONE[0].into()));
    rig.proxy.reset_services(vec![]);
    rig.run();
    assert!(rig.proxy.is_in_sync());
    assert_eq!(rig.objects(), ["lb 172.16.0.1:80/6 -> 10.244.2.1:1 flags 0/0", "remote 10.244.2.1"]);
    for document in rig.emulator.documents(Kind::LoadBalancer) {
        rig.emulator.remove(Kind::LoadBalancer, document["ID"].as_str().unwrap().parse().unwrap());
    }
    rig.sync();
    assert_eq!(rig.objects(), Vec::<String>::new(), "it is deleted with the last foreign load balancer");
}

#[test]
fn a_load_balancer_with_a_vanished_backend_is_still_known() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    let pod = rig.local("pod", &["10.244.1.11"]);
    rig.sync();
    rig.emulator.remove(Kind::Endpoint, pod);
    let local = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.1.11").on("here"));
    rig.proxy.apply_slice(local.build());
    rig.run();
    assert!(rig.objects().iter().all(|line| !line.contains("gone")), "{:#?}", rig.objects());
    rig.settle();
    assert_eq!(rig.objects(), Vec::<String>::new());
}

#[test]
fn the_second_of_two_endpoints_with_one_name_remains_usable() {
    let mut rig = Rig::l2bridge();
    let mut settings = crate::rig::settings();
    settings.forward_health_check_vip = true;
    rig.proxy = proxy::Reconciler::new(settings, crate::rig::own_host());
    let first = rig.local("cbr0_ep", &["10.244.1.2"]);
    rig.local("cbr0_ep", &["10.244.1.3"]);
    let slice = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1"));
    let lb = service("ns/web").cluster_ip("10.96.0.1").port(80).ingress_ip("203.0.113.1");
    rig.cluster(vec![lb.build()], vec![slice.build()]);
    rig.sync();
    rig.emulator.remove(Kind::Endpoint, first);
    rig.settle();
    assert!(
        rig.objects().contains(&"lb 203.0.113.1:10256/6 -> 10.244.1.3:10256 flags 0/0".into()),
        "{:#?}",
        rig.objects()
    );
}

#[test]
fn an_object_with_our_id_and_other_content_is_replaced() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    let mut document = rig.emulator.documents(Kind::LoadBalancer).remove(0);
    let id = document["ID"].as_str().unwrap().parse().unwrap();
    rig.emulator.remove(Kind::LoadBalancer, id);
    rig.proxy.audit(&rig.client).unwrap();
    document["PortMappings"][0]["InternalPort"] = json!(1);
    rig.emulator.add(Kind::LoadBalancer, document);
    rig.run();
    rig.settle();
    assert_eq!(rig.objects(), ONE);
}

#[test]
fn an_unsupported_family_is_reported_and_not_programmed() {
    for (version, api_version) in [("15.5", ApiVersion::V1), ("10.5", ApiVersion::V2)] {
        let mut rig = Rig::new("L2Bridge", version, api_version);
        let host = proxy::Host { node_ips: vec!["fd00:77::1".parse().unwrap()], mac: None };
        rig.proxy = proxy::Reconciler::new(crate::rig::settings(), host);
        let slice = slice("ns/web-1", "ns/web").port(8080).backend(backend("fd00::2:1"));
        rig.cluster(
            vec![service("ns/web").cluster_ip("fd00:96::1").port(80).node_port(30080).build()],
            vec![slice.build()],
        );
        assert!(rig.sync().outcomes.is_empty());
        assert_eq!(rig.proxy.conditions()[0].condition, Condition::FamilyUnsupported { family: Family::V6 });
    }
}
