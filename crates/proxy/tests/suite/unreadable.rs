//! Documents with members that cannot be read: what such a member could say is not assumed.

use std::time::Duration;

use hcn::{ApiVersion, Kind};
use proxy::Unready;
use proxy::model::ServiceName;
use serde_json::{Value, json};

use crate::faults::{back, empty, ids, serve, writes};
use crate::rig::{NETWORK, Rig};

#[test]
fn an_endpoint_that_may_be_remote_does_not_count_as_local() {
    for api_version in [ApiVersion::V2, ApiVersion::V1] {
        let mut rig = Rig::new("L2Bridge", "15.5", api_version);
        rig.cluster(vec![], vec![]);
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
        rig.sync();
        let foreign = rig.emulator.add(
            Kind::Endpoint,
            json!({"Name": "x", "HostComputeNetwork": NETWORK, "IpConfigurations": [{"IpAddress": "10.244.2.1"}],
                   "MacAddress": "02-11-0a-f4-02-01", "Flags": "RemoteEndpoint, Odd",
                   "SchemaVersion": {"Major": 2, "Minor": 0}}),
        );
        rig.calls();
        for _ in 0..3 {
            rig.now += Duration::from_secs(30);
            rig.sync();
        }
        let skipped: Vec<_> = rig.proxy.observed().skipped().map(|(id, _)| id).collect();
        assert_eq!((skipped, writes(&rig)), (vec![foreign], vec![]), "{api_version:?}");
        assert_eq!(rig.proxy.unready(), []);
    }
}

#[test]
fn changed_backends_are_restored_although_another_member_cannot_be_read() {
    let mut rig = empty("15.5");
    rig.local("pod", &["10.244.1.5"]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.5"]);
    serve(&mut rig, "ns/api", "10.96.0.2", &["10.244.1.5"]);
    rig.sync();
    let other = rig.local("other", &["10.244.1.6"]);
    rig.sync();
    let objects = rig.objects();
    let id = ids(&rig, Kind::LoadBalancer)[0];
    let original = rig.emulator.document(Kind::LoadBalancer, id).unwrap();
    for changes in [
        json!({"HostComputeEndpoints": [other], "SourceVIP": []}),
        json!({"SourceVIP": []}),
        json!({"HostComputeEndpoints": [other]}),
    ] {
        let mut document = original.clone();
        document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        rig.emulator.replace(Kind::LoadBalancer, id, document);
        // Two cycles of audits.
        for _ in 0..24 {
            rig.now += Duration::from_secs(30);
            rig.sync();
        }
        assert_eq!((rig.objects(), rig.proxy.unready()), (objects.clone(), vec![]), "{changes}");
    }
}

#[test]
fn endpoints_that_a_skipped_load_balancer_may_use_are_not_deleted() {
    let port: fn(&mut Value) = |document| document["PortMappings"][0]["ExternalPort"] = json!("x");
    let backends: fn(&mut Value) = |document| document["HostComputeEndpoints"] = json!("x");
    // On 15.5, the v1 list shows the backends, and the load balancer is modified.
    for (version, change) in [("14.0", port), ("14.0", backends), ("15.5", port)] {
        let mut rig = empty(version);
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1", "10.244.2.2"]);
        rig.sync();
        let id = ids(&rig, Kind::LoadBalancer)[0];
        let mut document = rig.emulator.document(Kind::LoadBalancer, id).unwrap();
        change(&mut document);
        rig.emulator.replace(Kind::LoadBalancer, id, document);
        back(&mut rig, "ns/web", &["10.244.2.1"]);
        rig.restart();
        let endpoints = ids(&rig, Kind::Endpoint);
        for backends in [&["10.244.2.1"][..], &[]] {
            back(&mut rig, "ns/web", backends);
            // More than a cycle of audits.
            for _ in 0..15 {
                rig.now += Duration::from_secs(5);
                rig.sync();
                assert_eq!(ids(&rig, Kind::Endpoint), endpoints, "{version} {backends:?}");
                assert_eq!(rig.proxy.unready().first(), Some(&Unready::ObjectsSkipped(1)));
            }
        }
        rig.emulator.remove(Kind::LoadBalancer, id);
        rig.now += Duration::from_secs(60);
        rig.settle();
        assert_eq!((rig.objects(), rig.proxy.unready()), (vec![], vec![]));
    }
}

#[test]
fn of_a_foreign_load_balancer_that_is_skipped_only_the_readable_backends_keep_endpoints() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1", "10.244.2.2"]);
    rig.sync();
    let used = ids(&rig, Kind::Endpoint)[0];
    for (backends, port) in [(json!([used]), json!("x")), (json!("x"), json!(80))] {
        rig.emulator.add(
            Kind::LoadBalancer,
            json!({"HostComputeEndpoints": backends, "FrontendVIPs": ["172.16.0.1"],
                   "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": port}],
                   "SchemaVersion": {"Major": 2, "Minor": 0}}),
        );
    }
    rig.sync();
    rig.proxy.delete_service(&ServiceName::new("ns", "web"));
    rig.settle();
    assert_eq!((rig.proxy.observed().skipped().count(), ids(&rig, Kind::Endpoint)), (2, vec![used]));
    assert_eq!(rig.proxy.unready(), []);
}

#[test]
fn a_read_back_with_a_member_that_cannot_be_read_does_not_show_whether_hns_modifies() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let id = ids(&rig, Kind::LoadBalancer)[0];
    let mut document = rig.emulator.document(Kind::LoadBalancer, id).unwrap();
    document["SourceVIP"] = json!([]);
    rig.emulator.replace(Kind::LoadBalancer, id, document);
    rig.emulator.change_quirks(|quirks| quirks.silent_modify = true);
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.run();
    assert!(rig.proxy.capabilities().unwrap().modify);
    assert_ne!(rig.proxy.unready(), []);
    rig.emulator.change_quirks(|quirks| quirks.silent_modify = false);
    rig.now += Duration::from_secs(60);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}
