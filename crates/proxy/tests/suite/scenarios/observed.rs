//! Objects in HNS that are not what was last written: lost, foreign, modified, or read after a restart.

use hcn::{ApiVersion, Hresult, Kind};
use proxy::testing::{backend, service, slice};
use serde_json::json;

use super::{ONE, two_backends, web};
use crate::faults::add_foreign;
use crate::rig::{NETWORK, Rig};

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
fn objects_are_compared_by_content_if_hns_chooses_ids() {
    let mut rig = Rig::l2bridge();
    rig.emulator.change_quirks(|q| q.chooses_ids = [Kind::Endpoint, Kind::LoadBalancer].into());
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
fn a_foreign_load_balancer_newer_than_the_last_audit_is_listed_and_replaced() {
    let mut rig = Rig::l2bridge();
    rig.sync();
    let pod = rig.local("pod", &["10.244.1.11"]);
    let foreign = add_foreign(&rig, "10.96.0.1", pod);
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

/// A new process on an HNS where the old one has given a load balancer a second backend.
fn restarted_after_a_modification() -> Rig {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    two_backends(&mut rig);
    rig.restart();
    rig
}

#[test]
fn the_id_of_a_modified_load_balancer_is_not_trusted_after_a_restart() {
    let mut rig = restarted_after_a_modification();
    // While no process runs, the second backend goes: the id equals the desired one, its content does not.
    web(&mut rig);
    rig.settle();
    assert_eq!(rig.objects(), ONE);
}

#[test]
fn the_id_of_a_modified_load_balancer_is_not_trusted_after_a_restart_without_the_v1_list() {
    let mut rig = restarted_after_a_modification();
    web(&mut rig);
    // The first call reads the version.
    rig.emulator.fail_nth("HNSCall", 2, Hresult::ERROR_GEN_FAILURE);
    rig.sync();
    // At once, by reading the document: not only when a later list shows the contents.
    assert_eq!(rig.objects(), ONE);
}

#[test]
fn modified_load_balancers_cost_no_read_at_a_restart() {
    let mut rig = restarted_after_a_modification();
    rig.calls();
    assert!(rig.sync().outcomes.is_empty());
    assert_eq!(rig.calls(), (6, 0));
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
    add_foreign(&rig, "172.16.0.1", theirs);
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
