//! Endpoints and load balancers that are foreign, of other Services, or invalid.

use std::time::Duration;

use hcn::schema::{Endpoint, IpConfiguration};
use hcn::{Class, Guid, Hresult, Kind};
use proxy::HostCondition;
use proxy::testing::{backend, service, slice};
use serde_json::json;

use super::{back, empty, ids, serve, writes};
use crate::rig::{NETWORK, Rig};

fn pod(rig: &Rig, address: &str) -> Result<Guid, hcn::Error> {
    let document = Endpoint {
        name: "pod".into(),
        ip_configurations: vec![IpConfiguration { ip_address: address.into(), ..IpConfiguration::default() }],
        ..Endpoint::default()
    };
    rig.client.create_endpoint(NETWORK, Guid::from_u128(0xe0), &document)
}

#[test]
fn issues_130963_135144_138602_an_address_that_becomes_local_is_freed_before_the_cni_needs_it() {
    let mut rig = empty("15.5");
    rig.emulator.change_quirks(|quirks| quirks.remote_blocks_local = true);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.11", "10.244.2.1"]);
    rig.sync();
    assert_eq!(pod(&rig, "10.244.1.11").unwrap_err().class(), Class::Invalid, "the remote endpoint is in the way");
    let moved = slice("ns/web-1", "ns/web")
        .port(8080)
        .backend(backend("10.244.1.11").on("here"))
        .backend(backend("10.244.2.1").on("there"));
    rig.proxy.apply_slice(moved.build());
    rig.run();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
    pod(&rig, "10.244.1.11").unwrap();
    rig.settle();
    assert_eq!(
        rig.objects(),
        ["lb 10.96.0.1:80/6 -> 10.244.1.11,10.244.2.1:8080 flags 1/0", "local 10.244.1.11", "remote 10.244.2.1"]
    );
}

#[test]
fn issue_138602_orphans_of_an_earlier_process_are_removed() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/old", "10.96.0.2", &["10.244.2.2"]);
    rig.sync();
    // While no process runs, a Service goes, and a load balancer with it: its endpoint has no user left.
    rig.emulator.remove(Kind::LoadBalancer, ids(&rig, Kind::LoadBalancer)[0]);
    rig.proxy.delete_service(&proxy::model::ServiceName::new("ns", "old"));
    rig.restart();
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
}

#[test]
fn issue_133928_internal_traffic_policy_local_follows_the_pods_of_this_node() {
    let mut rig = empty("15.5");
    rig.local("a", &["10.244.1.11"]);
    rig.local("b", &["10.244.1.12"]);
    let local = service("ns/web").cluster_ip("10.96.0.1").port(80).with(|service| service.internal_local = true);
    rig.proxy.apply_service(local.build());
    rig.sync();
    for (here, expected) in [
        (&["10.244.1.11"][..], Some("10.244.1.11")),
        (&["10.244.1.11", "10.244.1.12"], Some("10.244.1.11,10.244.1.12")),
        (&["10.244.1.12"], Some("10.244.1.12")),
        (&[], None),
        (&["10.244.1.11"], Some("10.244.1.11")),
    ] {
        let slice = here
            .iter()
            .fold(slice("ns/web-1", "ns/web").port(8080), |slice, address| slice.backend(backend(address).on("here")));
        rig.proxy.apply_slice(slice.backend(backend("10.244.2.1").on("there")).build());
        rig.run();
        assert!(rig.proxy.is_in_sync());
        let load_balancer = rig.objects().into_iter().find(|line| line.starts_with("lb"));
        assert_eq!(load_balancer, expected.map(|pods| format!("lb 10.96.0.1:80/6 -> {pods}:8080 flags 1/0")));
        assert!(!rig.objects().iter().any(|line| line.starts_with("remote")), "no remote endpoint serves anybody");
    }
}

#[test]
fn issues_76316_93229_deleting_one_service_leaves_the_endpoints_of_another() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/a", "10.96.0.1", &["10.244.2.1", "10.244.2.2"]);
    serve(&mut rig, "ns/b", "10.96.0.2", &["10.244.2.2", "10.244.2.3"]);
    rig.sync();
    rig.calls();
    rig.proxy.delete_service(&proxy::model::ServiceName::new("ns", "a"));
    rig.run();
    assert_eq!(writes(&rig), ["HcnDeleteLoadBalancer", "HcnDeleteEndpoint"]);
    assert_eq!(
        rig.objects(),
        ["lb 10.96.0.2:80/6 -> 10.244.2.2,10.244.2.3:8080 flags 1/0", "remote 10.244.2.2", "remote 10.244.2.3"]
    );
}

#[test]
fn issue_106775_services_without_backends_cost_no_call_and_stall_nobody() {
    let mut rig = empty("15.5");
    rig.sync();
    rig.calls();
    for n in 0..200 {
        rig.proxy.apply_service(service(&format!("a/none-{n}")).cluster_ip(&format!("10.97.0.{n}")).port(80).build());
    }
    serve(&mut rig, "z/web", "10.96.0.1", &["10.244.2.1"]);
    let report = rig.run();
    assert_eq!((report.outcomes.len(), rig.calls().1), (2, 2));
    assert!(rig.proxy.is_in_sync());
    for _ in 0..10 {
        assert!(rig.sync().outcomes.is_empty());
    }
    assert_eq!(rig.calls(), (20, 0));
}

#[test]
fn issues_116389_141488_invalid_documents_are_skipped_and_reported() {
    let mut rig = empty("15.5");
    let pod = rig.local("pod", &["10.244.1.11"]);
    for odd in [
        json!({"HostComputeEndpoints": [pod], "FrontendVIPs": ["172.16.0.1"]}),
        json!({"HostComputeEndpoints": [pod], "FrontendVIPs": ["nonsense"], "PortMappings": [{"Protocol": 250}]}),
        json!({"HostComputeEndpoints": null, "FrontendVIPs": null, "PortMappings": [{"ExternalPort": 1}]}),
        json!({"HostComputeEndpoints": ["no id"], "PortMappings": [{"Protocol": 6, "ExternalPort": 2}]}),
        json!({"PortMappings": "none"}),
    ] {
        rig.emulator.add(Kind::LoadBalancer, odd);
    }
    for odd in [
        json!({"HostComputeNetwork": NETWORK, "IpConfigurations": []}),
        json!({"HostComputeNetwork": NETWORK, "IpConfigurations": [{"IpAddress": "10.0.0.300"}]}),
        json!({"HostComputeNetwork": NETWORK, "IpConfigurations": 7}),
    ] {
        rig.emulator.add(Kind::Endpoint, odd);
    }
    let before = (ids(&rig, Kind::LoadBalancer), ids(&rig, Kind::Endpoint));
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    // The v1 list lacks the most invalid one; the next audit has it.
    rig.sync();
    assert!(rig.proxy.is_in_sync());
    assert!(rig.objects().iter().any(|line| line.starts_with("lb 10.96.0.1:80/6 -> 10.244.2.1")));
    let host_conditions = rig.proxy.host_conditions();
    assert_eq!(host_conditions.len(), 5, "{host_conditions:#?}");
    assert!(host_conditions.iter().all(|condition| matches!(condition, HostCondition::ObjectSkipped { .. })));
    rig.cluster(vec![], vec![]);
    rig.settle();
    assert_eq!((ids(&rig, Kind::LoadBalancer), ids(&rig, Kind::Endpoint)), before, "none of them was touched");
}

#[test]
fn endpoints_released_before_an_outage_are_deleted_after_it() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1", "10.244.2.2"]);
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.1", "10.244.2.2", "10.244.2.3"]);
    rig.run();
    // The next replacement has to wait, and with it the endpoints that the load balancer no longer needs.
    back(&mut rig, "ns/web", &["10.244.2.1"]);
    assert!(rig.run().outcomes.is_empty());
    rig.now += Duration::from_secs(1);
    rig.break_once("HcnDeleteEndpoint", false, Hresult::RPC_S_SERVER_UNAVAILABLE);
    rig.run();
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
}
