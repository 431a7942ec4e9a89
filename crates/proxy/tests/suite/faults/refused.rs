//! HNS refuses a load balancer, and documents of HNS have members that cannot be read.

use hcn::{Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::apply::Failure;
use proxy::testing::service;
use proxy::{Condition, Holder};
use serde_json::json;

use super::{add_foreign, back, empty, ids, serve};
use crate::rig::Rig;

/// The condition of the only Service after HNS refuses its load balancer, with a number of load balancers of another program, which have no DSR.
fn refused(code: Hresult, without_dsr: usize) -> (Failure, Condition) {
    let mut rig = empty("15.5");
    let pod = rig.local("pod", &["10.244.1.11"]);
    for number in 0..without_dsr {
        add_foreign(&rig, &format!("172.16.0.{number}"), pod);
    }
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    let create = Which::Function("HcnCreateLoadBalancer".into());
    rig.emulator.inject(Fault::of_each(create, Effect::Fail(code)));
    let report = rig.sync();
    let failure = report.failures().next().unwrap().1.clone();
    (failure, rig.proxy.conditions()[0].condition.clone())
}

#[test]
fn issue_139519_a_taken_frontend_is_reported_with_the_refusal_of_hns() {
    for (code, without_dsr) in [(Hresult::ERROR_ALREADY_EXISTS, 0), (Hresult::ERROR_OBJECT_ALREADY_EXISTS, 2)] {
        let (failure, condition) = refused(code, without_dsr);
        assert!(matches!(&failure, Failure::FrontendTaken(error) if error.code() == Some(code)), "{failure:?}");
        let unknown = Holder::Unknown { without_dsr };
        assert!(matches!(&condition, Condition::PortInUse { holder, .. } if *holder == unknown), "{condition:?}");
    }
}

#[test]
fn issue_cni_plugins_613_exhausted_ports_are_reported() {
    for (expected, text) in [
        (0, "HNS is out of memory or of ports; check netsh"),
        (1, "ports; 1 load balancer without DSR uses ports of the host"),
        (3, "ports; 3 load balancers without DSR use ports of the host"),
    ] {
        let (_, condition) = refused(Hresult::E_OUTOFMEMORY, expected);
        assert!(
            matches!(condition, Condition::OutOfPorts { without_dsr, .. } if without_dsr == expected),
            "{condition:?}"
        );
        assert!(condition.to_string().contains(text), "{condition}");
    }
}

#[test]
fn an_own_load_balancer_that_cannot_be_compared_is_not_written_again_and_again() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let [id] = ids(&rig, Kind::LoadBalancer)[..] else { panic!("one load balancer") };
    let mut document = rig.emulator.document(Kind::LoadBalancer, id).unwrap();
    document["PortMappings"][0]["InternalPort"] = json!({"Port": 8080});
    rig.emulator.replace(Kind::LoadBalancer, id, document.clone());
    rig.calls();
    for _ in 0..24 {
        rig.sync();
    }
    assert_eq!(rig.calls().1, 0);
    assert_eq!(rig.emulator.document(Kind::LoadBalancer, id), Some(document));
    let counted = rig.client.unreadable_members();
    assert!(counted.iter().any(|one| one.member == "PortMappings.InternalPort" && one.id == Some(id)), "{counted:?}");
}

#[test]
fn a_foreign_load_balancer_whose_address_cannot_be_read_is_not_deleted_for_a_node_port() {
    let mut rig = Rig::l2bridge();
    rig.cluster(vec![], vec![]);
    let pod = rig.local("pod", &["10.244.1.11"]);
    let foreign = rig.emulator.add(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [pod], "FrontendVIPs": {"0": "172.16.0.1"},
               "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 30080}],
               "SchemaVersion": {"Major": 2, "Minor": 0}}),
    );
    rig.proxy.apply_service(service("ns/web").cluster_ip("10.96.0.1").port(80).node_port(30080).build());
    back(&mut rig, "ns/web", &["10.244.2.1"]);
    rig.sync();
    assert!(rig.emulator.document(Kind::LoadBalancer, foreign).is_some());
    assert_eq!(rig.proxy.observed().skipped().map(|(id, _)| id).collect::<Vec<_>>(), [foreign]);
}
