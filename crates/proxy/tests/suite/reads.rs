//! Failed reads and incomplete lists: nothing is concluded from what is missing, and what a later read finds is used.

use hcn::{Guid, Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::model::ServiceName;
use proxy::testing::{backend, service, slice};
use proxy::{Reconciler, Settings};
use serde_json::json;

use crate::faults::{add_foreign, back, empty, ids, serve, writes};
use crate::rig::{NETWORK, Rig, SECOND, own_host};

/// A Service with backends on this node.
fn serve_local(rig: &mut Rig, name: &str, ip: &str, backends: &[&str]) {
    rig.proxy.apply_service(service(name).cluster_ip(ip).port(80).build());
    let local = backends
        .iter()
        .fold(slice(&format!("{name}-1"), name).port(8080), |all, one| all.backend(backend(one).on("here")));
    rig.proxy.apply_slice(local.build());
}

#[test]
fn take_over_deletes_a_load_balancer_whose_endpoint_was_missing_in_a_list() {
    let mut rig = empty("15.5");
    let pod = rig.local("pod", &["10.244.1.5"]);
    add_foreign(&rig, "10.96.0.9", pod);
    rig.proxy = Reconciler::new(Settings { take_over: true, ..rig.settings.clone() }, own_host());
    rig.cluster(vec![], vec![]);
    rig.emulator.inject_times(Fault::of_each(Which::V2List(Kind::Endpoint), Effect::Partial(0)), 1);
    rig.sync();
    assert_eq!(ids(&rig, Kind::LoadBalancer).len(), 1);
    rig.sync();
    assert_eq!(ids(&rig, Kind::LoadBalancer), Vec::<Guid>::new());
}

#[test]
fn take_over_deletes_a_load_balancer_whose_endpoint_is_created_again() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let objects = rig.objects();
    let mut document = rig.emulator.documents(Kind::LoadBalancer).remove(0);
    document["ID"] = Guid::from_u128(1).to_string().into();
    document["FrontendVIPs"] = json!(["10.96.0.9"]);
    rig.emulator.add(Kind::LoadBalancer, document);
    ids(&rig, Kind::Endpoint).into_iter().for_each(|id| rig.emulator.remove(Kind::Endpoint, id));
    rig.settings.take_over = true;
    rig.restart();
    rig.sync();
    assert_eq!(rig.objects(), objects);
}

#[test]
fn an_endpoint_that_was_read_before_another_read_failed_is_used() {
    let mut rig = empty("15.5");
    serve_local(&mut rig, "ns/a", "10.96.0.1", &["10.244.1.1"]);
    serve_local(&mut rig, "ns/b", "10.96.0.2", &["10.244.1.2"]);
    rig.sync();
    rig.local("a", &["10.244.1.1"]);
    rig.local("b", &["10.244.1.2"]);
    rig.emulator.fail_nth("HcnOpenEndpoint", 2, Hresult::E_ACCESSDENIED);
    rig.now += std::time::Duration::from_secs(10);
    rig.run();
    let known = rig.proxy.observed().endpoint_count();
    assert_eq!((known, ids(&rig, Kind::LoadBalancer).len()), (1, 1));
}

#[test]
fn a_modification_that_cannot_be_read_back_is_not_refused() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.break_once("HcnQueryLoadBalancerProperties", false, Hresult::E_NOTIMPL);
    rig.calls();
    rig.run();
    assert_eq!(writes(&rig), ["HcnCreateEndpoint", "HcnModifyLoadBalancer"]);
    assert!(rig.proxy.capabilities().unwrap().modify);
    rig.now += std::time::Duration::from_secs(60);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn contents_are_compared_although_hns_has_refused_to_modify() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.break_once("HcnModifyLoadBalancer", false, Hresult::E_NOTIMPL);
    rig.run();
    let objects = rig.objects();
    assert!(!rig.proxy.capabilities().unwrap().modify);
    // A second later, the frontend may be replaced again.
    rig.now += std::time::Duration::from_secs(1);
    let mut document = rig.emulator.documents(Kind::LoadBalancer).remove(0);
    document["PortMappings"][0]["InternalPort"] = 7.into();
    rig.emulator.add(Kind::LoadBalancer, document);
    assert_ne!(rig.objects(), objects);
    // A cycle of audits.
    (0..12).for_each(|_| drop(rig.sync()));
    assert_eq!(rig.objects(), objects);
}

#[test]
fn a_network_that_returns_is_programmed_although_another_one_cannot_be_read() {
    let mut rig = Rig::with(&["L2Bridge", "L2Bridge"], "15.5", hcn::ApiVersion::V2);
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let objects = rig.objects();
    let network = |id| rig.emulator.document(Kind::Network, id).unwrap();
    let (first, second) = (network(NETWORK), network(SECOND));
    rig.emulator.remove(Kind::Network, NETWORK);
    rig.sync();
    rig.emulator.add(Kind::Network, first);
    rig.emulator.remove(Kind::Network, SECOND);
    rig.break_once("HcnOpenNetwork", false, Hresult::E_ACCESSDENIED);
    rig.proxy.audit(&rig.client).unwrap_err();
    rig.emulator.add(Kind::Network, second);
    rig.sync();
    assert_eq!(rig.proxy.unready(), []);
    assert_eq!(rig.objects(), objects);
}

#[test]
fn a_foreign_load_balancer_whose_modification_failed_is_deleted_only_if_it_was_modified() {
    for done in [true, false] {
        let mut rig = empty("15.5");
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
        rig.sync();
        let pod = rig.local("pod", &["10.244.1.5"]);
        let id = ids(&rig, Kind::LoadBalancer)[0];
        let mut document = rig.emulator.document(Kind::LoadBalancer, id).unwrap();
        document["ID"] = Guid::from_u128(1).to_string().into();
        document["HostComputeEndpoints"] = json!([pod]);
        rig.emulator.remove(Kind::LoadBalancer, id);
        let foreign = rig.emulator.add(Kind::LoadBalancer, document);
        rig.restart();
        rig.break_once("HcnModifyLoadBalancer", done, Hresult::ERROR_GEN_FAILURE);
        rig.sync();
        rig.proxy.delete_service(&ServiceName::new("ns", "web"));
        rig.settle();
        let left = if done { vec![] } else { vec![foreign] };
        assert_eq!((ids(&rig, Kind::LoadBalancer), rig.objects().len()), (left, 2 - usize::from(done)));
    }
}
