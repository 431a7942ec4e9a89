//! The source VIP that is the address of an endpoint of the overlay network.

use hcn::{ApiVersion, Hresult, Kind};
use proxy::model::Family;
use proxy::{AuditError, HostCondition, SourceVip, SourceVipAbsent, Unready};
use serde_json::json;

use crate::faults::serve;
use crate::rig::{NETWORK, Rig};

/// An overlay network, a Service with a backend on another node, and these names of the endpoint.
fn rig(names: &[&str], api_version: ApiVersion) -> Rig {
    let mut rig = Rig::new("Overlay", "15.5", api_version);
    rig.settings.source_vip = Some(SourceVip::Endpoints(names.iter().map(|name| (*name).into()).collect()));
    rig.restart();
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.7"]);
    rig
}

fn absent(names: &[&str], known: &[&str]) -> SourceVipAbsent {
    let all = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    SourceVipAbsent {
        names: all(names),
        network: "cbr0".into(),
        family: Family::V4,
        known: all(known),
        in_use: None,
        not_reserved: None,
    }
}

/// The load balancer and the endpoints of hnsproxy with this source VIP.
fn programmed(source_vip: &str) -> Vec<String> {
    vec![
        format!("lb 10.96.0.1:80/6 -> 10.244.2.7:8080 flags 1/0 from {source_vip}"),
        "remote 10.244.2.7 on 192.168.77.2".to_owned(),
        "remote 10.96.0.1 on 192.168.77.1".to_owned(),
    ]
}

/// What hnsproxy has programmed: the CNI creates all local endpoints.
fn own(rig: &Rig) -> Vec<String> {
    rig.objects().into_iter().filter(|line| !line.starts_with("local")).collect()
}

#[test]
fn the_source_vip_is_the_address_of_the_first_named_endpoint_that_exists() {
    for api_version in [ApiVersion::V2, ApiVersion::V1] {
        let mut rig = rig(&["Calico_ep", "VIPEndpoint"], api_version);
        rig.local("pod", &["10.244.1.11"]);
        rig.local("VIPEndpoint", &["10.244.1.2"]);
        rig.settle();
        assert_eq!(own(&rig), programmed("10.244.1.2"));
        assert_eq!(rig.objects().len(), 5, "no endpoint was created for the source VIP");
        assert_eq!(rig.proxy.source_vip(), Some([10, 244, 1, 2].into()));
        rig.local("Calico_ep", &["10.244.1.3"]);
        rig.settle();
        assert_eq!(own(&rig), programmed("10.244.1.3"));
        assert_eq!(rig.proxy.host_conditions(), []);
    }
}

#[test]
fn a_restart_makes_no_write_and_as_many_calls_as_with_an_address() {
    let calls = |rig: &mut Rig| {
        rig.settle();
        rig.restart();
        rig.calls();
        rig.sync();
        rig.calls()
    };
    let mut named = rig(&["VIPEndpoint"], ApiVersion::V2);
    named.local("VIPEndpoint", &["10.244.1.2"]);
    let mut address = rig(&[], ApiVersion::V2);
    address.settings.source_vip = Some(SourceVip::Address([10, 244, 1, 2].into()));
    address.local("VIPEndpoint", &["10.244.1.2"]);
    address.restart();
    let (named, address) = (calls(&mut named), calls(&mut address));
    assert_eq!((named, named.1), (address, 0));
}

#[test]
fn without_the_endpoint_nothing_is_written_and_the_reason_names_what_exists() {
    for api_version in [ApiVersion::V2, ApiVersion::V1] {
        let mut rig = rig(&["Calico_ep"], api_version);
        rig.local("pod", &["10.244.1.11"]);
        rig.calls();
        for _ in 0..3 {
            let error = AuditError::SourceVipAbsent(absent(&["Calico_ep"], &["pod"]));
            assert_eq!(rig.proxy.audit(&rig.client), Err(error.clone()));
            rig.run();
            assert_eq!(rig.proxy.unready().first(), Some(&Unready::Audit(error)));
        }
        assert_eq!(rig.calls().1, 0);
        // It has only an address that overlay networks do not use.
        let ipv6 = rig.local("Calico_ep", &["fd00:1::2"]);
        let error = AuditError::SourceVipAbsent(absent(&["Calico_ep"], &["Calico_ep", "pod"]));
        assert_eq!(rig.proxy.audit(&rig.client), Err(error));
        rig.emulator.remove(Kind::Endpoint, ipv6);
        rig.local("Calico_ep", &["10.244.1.2"]);
        rig.settle();
        assert_eq!(own(&rig), programmed("10.244.1.2"));
    }
}

#[test]
fn an_endpoint_that_is_created_again_is_followed() {
    let mut rig = rig(&["Calico_ep"], ApiVersion::V2);
    let before = rig.local("Calico_ep", &["10.244.1.2"]);
    rig.settle();
    rig.emulator.remove(Kind::Endpoint, before);
    rig.calls();
    rig.proxy.audit(&rig.client).unwrap();
    rig.run();
    let absent = SourceVipAbsent { in_use: Some([10, 244, 1, 2].into()), ..absent(&["Calico_ep"], &[]) };
    assert_eq!(rig.proxy.unready(), [Unready::SourceVipAbsent(absent.clone())]);
    assert_eq!(rig.proxy.host_conditions(), [HostCondition::SourceVipAbsent(absent)]);
    assert_eq!((own(&rig), rig.calls().1), (programmed("10.244.1.2"), 0), "the load balancers keep the address");
    // Another endpoint has the address first: it has no say.
    rig.local("other", &["10.244.1.4"]);
    rig.local("Calico_ep", &["10.244.1.3"]);
    rig.settle();
    assert_eq!(own(&rig), programmed("10.244.1.3"));
    assert_eq!((rig.proxy.unready(), rig.proxy.host_conditions()), (vec![], vec![]));
}

#[test]
fn a_network_that_is_created_again_needs_its_own_endpoint() {
    let mut rig = rig(&["Calico_ep"], ApiVersion::V2);
    rig.local("Calico_ep", &["10.244.1.2"]);
    rig.settle();
    let document = rig.emulator.document(Kind::Network, NETWORK).unwrap();
    rig.emulator.remove(Kind::Network, NETWORK);
    let mut again = document;
    again["ID"] = "7b60c1d9-602e-5110-8c89-a9475b8973ff".into();
    let id = rig.emulator.add(Kind::Network, again);
    assert_eq!(rig.proxy.audit(&rig.client), Err(AuditError::SourceVipAbsent(absent(&["Calico_ep"], &[]))));
    rig.run();
    assert_eq!(own(&rig), Vec::<String>::new());
    rig.local_in(id, "Calico_ep", &["10.244.1.9"]);
    rig.settle();
    assert_eq!(own(&rig), programmed("10.244.1.9"));
}

#[test]
fn other_networks_than_overlay_need_no_endpoint() {
    let mut rig = Rig::l2bridge();
    rig.settings.source_vip = Some(SourceVip::Endpoints(vec!["Calico_ep".into()]));
    rig.restart();
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.7"]);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.1.7:8080 flags 1/0", "remote 10.244.1.7"]);
}

#[test]
fn the_first_overlay_network_has_the_endpoint() {
    let mut rig = Rig::with(&["Overlay", "Overlay"], "15.5", ApiVersion::V2);
    rig.settings.source_vip = Some(SourceVip::Endpoints(vec!["Calico_ep".into()]));
    rig.restart();
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.7"]);
    rig.local("Calico_ep", &["10.244.1.2"]);
    rig.settle();
    assert_eq!(own(&rig), programmed("10.244.1.2"));
    assert!(matches!(rig.proxy.host_conditions()[..], [HostCondition::NetworkMissing { .. }]));
}

/// hnsproxy in sync with one source VIP, and started again with another one.
fn changed(api_version: ApiVersion) -> Rig {
    let mut rig = rig(&[], api_version);
    for address in [[10, 244, 1, 2], [10, 244, 1, 3]] {
        rig.settings.source_vip = Some(SourceVip::Address(address.into()));
        rig.restart();
        if address == [10, 244, 1, 2] {
            rig.settle();
        }
    }
    rig
}

/// Everything in HNS with this source VIP in the load balancer, and these endpoints of source VIPs.
fn with_endpoints(source_vip: &str, endpoints: &[&str]) -> Vec<String> {
    let local = endpoints.iter().map(|address| format!("local {address}"));
    let mut all: Vec<String> = programmed(source_vip).into_iter().chain(local).collect();
    all.sort();
    all
}

#[test]
fn the_endpoint_of_a_former_source_vip_stays_until_its_last_load_balancer_is_replaced() {
    for function in ["HcnDeleteLoadBalancer", "HcnCreateLoadBalancer"] {
        let mut rig = changed(ApiVersion::V2);
        rig.break_once(function, false, Hresult::E_OUTOFMEMORY);
        rig.sync();
        let kept = with_endpoints("10.244.1.2", &["10.244.1.2", "10.244.1.3"]);
        assert_eq!(rig.objects(), kept, "{function}");
        rig.settle();
        assert_eq!(rig.objects(), with_endpoints("10.244.1.3", &["10.244.1.3"]), "{function}");
    }
}

#[test]
fn the_endpoint_of_a_former_source_vip_stays_until_the_new_one_has_its_endpoint() {
    let mut rig = changed(ApiVersion::V2);
    rig.break_once("HcnCreateEndpoint", false, Hresult::E_OUTOFMEMORY);
    rig.sync();
    assert_eq!(rig.objects(), with_endpoints("10.244.1.3", &["10.244.1.2"]));
    rig.settle();
    assert_eq!(rig.objects(), with_endpoints("10.244.1.3", &["10.244.1.3"]));
}

#[test]
fn the_endpoint_of_a_former_source_vip_stays_as_long_as_a_foreign_load_balancer_uses_it() {
    let mut rig = changed(ApiVersion::V2);
    let foreign = rig.emulator.add(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [], "SourceVIP": "10.244.1.2", "FrontendVIPs": ["10.96.0.9"],
            "PortMappings": [{"Protocol": 6, "InternalPort": 80, "ExternalPort": 80}],
            "SchemaVersion": {"Major": 2, "Minor": 0}}),
    );
    rig.settle();
    let own = |rig: &Rig| rig.objects().into_iter().filter(|line| !line.contains("10.96.0.9")).collect::<Vec<_>>();
    assert_eq!(own(&rig), with_endpoints("10.244.1.3", &["10.244.1.2", "10.244.1.3"]));
    rig.emulator.remove(Kind::LoadBalancer, foreign);
    rig.settle();
    assert_eq!(rig.objects(), with_endpoints("10.244.1.3", &["10.244.1.3"]));
}
