//! What happens where HNS does not do what is assumed of it: an outage in no case, and a bounded number of writes.

use std::time::Duration;

use hcn::{ApiVersion, Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::model::ServiceName;
use proxy::{HostCondition, Tally, Unready, Writer};
use serde_json::json;

use crate::faults::{back, empty, serve, writes};
use crate::rig::Rig;

/// Two cycles of audits, at the default interval.
const AUDITS: u32 = 24;
const INTERVAL: Duration = Duration::from_secs(5);

/// Audits and runs for two minutes. After each run, there is a load balancer on each of these addresses, and all its endpoints exist.
fn follow(rig: &mut Rig, addresses: &[&str]) {
    for _ in 0..AUDITS {
        rig.sync();
        let objects = rig.objects();
        for address in addresses {
            let serves = |line: &String| line.starts_with(&format!("lb {address}:80/6 -> ")) && !line.contains("gone");
            assert!(objects.iter().any(serves), "{address} is not in {objects:#?}");
        }
        rig.now += INTERVAL;
    }
}

/// Three Services, of which one gets other backends and one is deleted, and a restart.
fn live(rig: &mut Rig) {
    let all = ["10.96.0.1", "10.96.0.2", "10.96.0.3"];
    for (number, address) in all.iter().enumerate() {
        serve(rig, &format!("ns/s{number}"), address, &["10.244.2.1", &format!("10.244.2.{}", number + 2)]);
    }
    follow(rig, &all);
    back(rig, "ns/s1", &["10.244.2.1", "10.244.2.9"]);
    follow(rig, &all);
    rig.proxy.delete_service(&ServiceName::new("ns", "s2"));
    follow(rig, &all[..2]);
    rig.restart();
    follow(rig, &all[..2]);
}

#[test]
fn ids_that_hns_ignores_for_one_kind_cost_no_write() {
    for api_version in [ApiVersion::V2, ApiVersion::V1] {
        for version in ["15.5", "14.0"] {
            let mut rig = Rig::new("L2Bridge", version, api_version);
            rig.cluster(vec![], vec![]);
            live(&mut rig);
            let expected = rig.objects();
            for kinds in [&[Kind::Endpoint][..], &[Kind::LoadBalancer], &[Kind::Endpoint, Kind::LoadBalancer]] {
                let mut rig = Rig::new("L2Bridge", version, api_version);
                rig.emulator.change_quirks(|quirks| quirks.chooses_ids = kinds.iter().copied().collect());
                rig.cluster(vec![], vec![]);
                live(&mut rig);
                assert_eq!(rig.objects(), expected, "{api_version:?} {version} {kinds:?}");
                rig.calls();
                rig.restart();
                follow(&mut rig, &["10.96.0.1", "10.96.0.2"]);
                assert_eq!((rig.calls().1, rig.proxy.unready()), (0, vec![]), "{api_version:?} {version} {kinds:?}");
            }
        }
    }
}

#[test]
fn only_the_kind_whose_ids_hns_ignores_is_reported() {
    for kind in [Kind::Endpoint, Kind::LoadBalancer] {
        let mut rig = empty("15.5");
        rig.emulator.change_quirks(|quirks| quirks.chooses_ids.extend([kind]));
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
        rig.settle();
        assert_eq!(rig.proxy.host_conditions(), [HostCondition::IdsNotHonoured { kind }]);
    }
}

/// The deletions of a function succeed, and leave the object.
fn keep_what_is_deleted(rig: &Rig, function: &str) {
    rig.emulator.inject(Fault::of_each(Which::Function(function.into()), Effect::NoEffect));
}

#[test]
fn a_load_balancer_that_hns_keeps_when_it_is_replaced_serves_its_old_backends() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/other", "10.96.0.2", &["10.244.2.1"]);
    rig.settle();
    keep_what_is_deleted(&rig, "HcnDeleteLoadBalancer");
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.calls();
    follow(&mut rig, &["10.96.0.1", "10.96.0.2"]);
    // A deletion, the new one, and the old one again.
    assert!(writes(&rig).len() <= 1 + 3 * 10, "{:?}", writes(&rig));
    let pending = Tally { desired: 2, in_sync: 1 };
    assert_eq!(rig.proxy.unready(), [Unready::LoadBalancersPending(pending), Unready::RetriesPending(1)]);
    let conditions: Vec<_> = rig.proxy.conditions().iter().map(|one| one.condition.reason()).collect();
    assert_eq!(conditions, ["PortInUse"]);
    rig.emulator.clear_faults();
    follow(&mut rig, &["10.96.0.1", "10.96.0.2"]);
    assert_eq!(rig.proxy.unready(), []);
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0".into()));
}

#[test]
fn objects_that_hns_keeps_when_they_are_deleted_are_reported_and_cost_a_write_a_minute() {
    for function in ["HcnDeleteLoadBalancer", "HcnDeleteEndpoint"] {
        let mut rig = empty("15.5");
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
        serve(&mut rig, "ns/old", "10.96.0.2", &["10.244.2.2"]);
        rig.settle();
        keep_what_is_deleted(&rig, function);
        rig.proxy.delete_service(&ServiceName::new("ns", "old"));
        follow(&mut rig, &["10.96.0.1"]);
        let [HostCondition::ForeignWriter(found)] = &rig.proxy.host_conditions()[..] else { panic!("{function}") };
        assert_eq!((&found.writer, found.others), (&Writer::KeptByHns, 0), "{function}");
        rig.calls();
        for _ in 0..5 {
            serve(&mut rig, "ns/new", "10.96.0.3", &["10.244.2.3"]);
            follow(&mut rig, &["10.96.0.1", "10.96.0.3"]);
        }
        // Ten minutes, and the two objects of the new Service.
        assert!(writes(&rig).len() <= 10 + 2, "{:?}", writes(&rig));
        rig.emulator.clear_faults();
        for _ in 0..3 {
            follow(&mut rig, &["10.96.0.1", "10.96.0.3"]);
        }
        assert_eq!((rig.proxy.unready(), rig.proxy.host_conditions()), (vec![], vec![]), "{function}");
        assert_eq!(rig.objects().len(), 4, "{:?}", rig.objects());
    }
}

#[test]
fn a_load_balancer_that_hns_keeps_is_modified_if_its_frontend_is_desired_again() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.settle();
    keep_what_is_deleted(&rig, "HcnDeleteLoadBalancer");
    rig.proxy.delete_service(&ServiceName::new("ns", "web"));
    follow(&mut rig, &[]);
    serve(&mut rig, "ns/new", "10.96.0.1", &["10.244.2.2"]);
    rig.run();
    follow(&mut rig, &["10.96.0.1"]);
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
    rig.emulator.clear_faults();
    for _ in 0..3 {
        follow(&mut rig, &["10.96.0.1"]);
    }
    assert_eq!(rig.proxy.unready(), []);
}

#[test]
fn members_that_hns_shows_and_refuses_are_not_written_back() {
    // The load balancer of kube-proxy is modified in place, or replaced; the first attempt to replace it fails, so it is restored.
    for (version, expected) in [
        ("15.5", &["HcnCreateEndpoint", "HcnModifyLoadBalancer"][..]),
        ("14.0", &["HcnCreateEndpoint", "HcnDeleteLoadBalancer", "HcnCreateLoadBalancer", "HcnCreateLoadBalancer"]),
    ] {
        let mut rig = empty(version);
        let pod = rig.local("pod", &["10.244.1.11"]);
        rig.emulator.add(
            Kind::LoadBalancer,
            json!({"HostComputeEndpoints": [pod], "FrontendVIPs": ["10.96.0.1"], "Flags": 1, "Surprise": 7,
                   "PortMappings": [{"Protocol": 6, "InternalPort": 8080, "ExternalPort": 80, "Surprise": 7}],
                   "SchemaVersion": {"Major": 2, "Minor": 0}}),
        );
        rig.emulator.fail_nth("HcnCreateLoadBalancer", 1, Hresult::E_OUTOFMEMORY);
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
        rig.sync();
        assert_eq!(writes(&rig), expected);
        follow(&mut rig, &["10.96.0.1"]);
        let objects = ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "local 10.244.1.11", "remote 10.244.2.1"];
        assert_eq!((rig.objects(), rig.proxy.unready()), (objects.map(str::to_owned).to_vec(), vec![]), "{version}");
    }
}

#[test]
fn a_v1_list_with_other_backends_at_a_start_costs_one_write() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/other", "10.96.0.2", &["10.244.2.9"]);
    rig.settle();
    rig.emulator.inject(Fault::of_each(Which::V1List(Kind::LoadBalancer), Effect::Stale));
    // Modified in place, so a start does not trust the id.
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.settle();
    let before = rig.objects();
    rig.restart();
    rig.calls();
    follow(&mut rig, &["10.96.0.1", "10.96.0.2"]);
    assert_eq!((writes(&rig), rig.objects()), (vec!["HcnModifyLoadBalancer"], before));
    let distrusted =
        |one: &HostCondition| matches!(one, HostCondition::V1ListDistrusted { kind: Kind::LoadBalancer, .. });
    assert!(rig.proxy.host_conditions().iter().any(distrusted), "{:?}", rig.proxy.host_conditions());
}
