//! Lists that succeed and are wrong: HNS v1 lists and enumerations that lack objects, or show an earlier moment.

use hcn::{ApiVersion, Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::model::ServiceName;
use proxy::observe::by_cause;
use proxy::testing::{backend, service, slice};
use proxy::{Cause, Contradiction, HostCondition, Unready};
use serde_json::{Value, json};

use crate::faults::{back, empty, ids, serve, writes};
use crate::rig::{Rig, SECOND};

/// Two cycles of audits.
pub(crate) const AUDITS: usize = 24;

/// Services with pods of this node and of others, all programmed.
pub(crate) fn served(version: &str, api_version: ApiVersion) -> Rig {
    served_many(version, api_version, 20)
}

/// As [`served`], with this number of Services, up to 200.
pub(crate) fn served_many(version: &str, api_version: ApiVersion, services: u8) -> Rig {
    let mut rig = Rig::new("L2Bridge", version, api_version);
    rig.cluster(vec![], vec![]);
    for number in 1..=services {
        rig.local(&format!("pod-{number}"), &[&format!("10.244.1.{number}")]);
        let name = format!("ns/s{number}");
        rig.proxy.apply_service(service(&name).cluster_ip(&format!("10.96.0.{number}")).port(80).build());
        let slice = slice(&format!("{name}-1"), &name)
            .port(8080)
            .backend(backend(&format!("10.244.1.{number}")).on("here"))
            .backend(backend(&format!("10.244.2.{number}")).on("there"));
        rig.proxy.apply_slice(slice.build());
    }
    rig.settle();
    rig.calls();
    rig
}

pub(crate) fn audits(rig: &mut Rig) {
    for _ in 0..AUDITS {
        rig.sync();
        rig.now += std::time::Duration::from_secs(5);
    }
}

/// The calls that an audit of contents makes to read objects of ours of a kind, if no list shows their contents: two for each of at most 16.
pub(crate) fn sample(rig: &Rig, kind: Kind) -> u64 {
    let ours = ids(rig, kind).into_iter().filter(|id| proxy::identity::is_ours(*id)).count();
    2 * ours.min(16) as u64
}

pub(crate) fn distrusted(rig: &Rig) -> Vec<Kind> {
    let kind = |condition: &HostCondition| match condition {
        HostCondition::V1ListDistrusted { kind, .. } => Some(*kind),
        _ => None,
    };
    rig.proxy.host_conditions().iter().filter_map(kind).collect()
}

#[test]
fn a_v1_list_that_lacks_objects_removes_nothing_and_is_not_used_again() {
    for kind in [Kind::Endpoint, Kind::LoadBalancer] {
        for percent in [0, 30, 95] {
            let mut rig = served("15.5", ApiVersion::V2);
            let before = rig.objects();
            rig.emulator.inject(Fault::of_each(Which::V1List(kind), Effect::Partial(percent)));
            audits(&mut rig);
            assert_eq!((writes(&rig), rig.objects()), (vec![], before), "{kind:?} {percent}");
            assert_eq!(rig.proxy.take_drift(), []);
            assert_eq!(distrusted(&rig), [kind]);
            let capabilities = rig.proxy.capabilities().unwrap();
            let trusted = (capabilities.v1_endpoint_list, capabilities.v1_load_balancer_list);
            assert_eq!(trusted, (kind != Kind::Endpoint, kind != Kind::LoadBalancer));
            rig.calls();
            audits(&mut rig);
            // In each of two cycles.
            assert_eq!(rig.calls(), (2 * AUDITS as u64 + 2 * sample(&rig, kind), 0));
        }
    }
}

#[test]
fn what_other_programs_change_while_the_v1_list_is_distrusted_is_found_in_samples() {
    const OTHER_MAC: &str = "02-11-00-00-00-01";
    let is_changed = |kind, document: &Value| match kind {
        Kind::Endpoint => document["MacAddress"] == OTHER_MAC,
        _ => document["HostComputeEndpoints"].as_array().unwrap().len() == 1,
    };
    for kind in [Kind::Endpoint, Kind::LoadBalancer] {
        let mut rig = served_many("15.5", ApiVersion::V2, 40);
        let changed =
            |rig: &Rig| rig.emulator.documents(kind).iter().filter(|document| is_changed(kind, document)).count();
        rig.emulator.inject(Fault::of_each(Which::V1List(kind), Effect::Partial(0)));
        audits(&mut rig);
        assert_eq!(distrusted(&rig), [kind]);
        rig.emulator.clear_faults();
        let before = rig.objects();
        for id in ids(&rig, kind).into_iter().filter(|id| proxy::identity::is_ours(*id)) {
            let mut document = rig.emulator.document(kind, id).unwrap();
            match kind {
                Kind::Endpoint => document["MacAddress"] = json!(OTHER_MAC),
                _ => document["HostComputeEndpoints"].as_array_mut().unwrap().truncate(1),
            }
            rig.emulator.replace(kind, id, document);
        }
        assert_eq!(changed(&rig), 40);
        // 16 of them in each cycle of audits. A replaced endpoint has another id, and may be read again.
        audits(&mut rig);
        assert!((8..12).contains(&changed(&rig)), "{}", changed(&rig));
        audits(&mut rig);
        assert_eq!((changed(&rig), rig.objects(), rig.proxy.unready()), (0, before, vec![]));
    }
}

#[test]
fn many_load_balancers_that_another_program_changed_are_read_in_parts() {
    let mut rig = served_many("15.5", ApiVersion::V2, 150);
    let before = rig.objects();
    for id in ids(&rig, Kind::LoadBalancer) {
        let mut document = rig.emulator.document(Kind::LoadBalancer, id).unwrap();
        document["HostComputeEndpoints"].as_array_mut().unwrap().truncate(1);
        rig.emulator.replace(Kind::LoadBalancer, id, document);
    }
    let mut steps = Vec::new();
    for _ in 0..2 * AUDITS {
        rig.calls();
        let report = rig.proxy.audit_step(&rig.client).unwrap();
        let unread = rig.proxy.unready().into_iter().filter(|one| matches!(one, Unready::ObjectsUnverified(_)));
        let unread: Vec<_> = unread.collect();
        let calls = rig.calls().0;
        if calls > 1 {
            steps.push((calls, report.paused, unread));
        }
        rig.run();
    }
    // A list before the reads.
    assert_eq!(steps, [(1 + 2 * 128, true, vec![Unready::ObjectsUnverified(22)]), (1 + 2 * 22, false, vec![])]);
    assert_eq!((rig.objects(), rig.proxy.unready()), (before, vec![]));
}

#[test]
fn a_start_with_a_v1_list_that_lacks_load_balancers_writes_nothing() {
    for percent in [0, 50] {
        let mut rig = served("15.5", ApiVersion::V2);
        rig.emulator.inject(Fault::of_each(Which::V1List(Kind::LoadBalancer), Effect::Partial(percent)));
        rig.restart();
        rig.settle();
        audits(&mut rig);
        assert_eq!((writes(&rig), distrusted(&rig)), (vec![], vec![Kind::LoadBalancer]));
    }
}

#[test]
fn a_v1_list_that_is_out_of_date_changes_nothing_and_is_not_used_again() {
    for kind in [Kind::Endpoint, Kind::LoadBalancer] {
        let mut rig = served("15.5", ApiVersion::V2);
        rig.emulator.inject(Fault::of_each(Which::V1List(kind), Effect::Stale));
        back(&mut rig, "ns/s1", &["10.244.2.1", "10.244.2.77"]);
        serve(&mut rig, "ns/new", "10.96.0.77", &["10.244.2.78"]);
        rig.proxy.delete_service(&ServiceName::new("ns", "s2"));
        rig.settle();
        let before = rig.objects();
        rig.calls();
        audits(&mut rig);
        assert_eq!((writes(&rig), rig.objects(), distrusted(&rig)), (vec![], before, vec![kind]));
        assert_eq!(rig.proxy.take_drift(), []);
    }
}

#[test]
fn a_v1_list_with_other_contents_than_hns_has_is_not_used_again() {
    let mut rig = served("15.5", ApiVersion::V2);
    rig.emulator.inject(Fault::of_each(Which::V1List(Kind::LoadBalancer), Effect::Stale));
    // Modified in place: the list has the same ids.
    back(&mut rig, "ns/s1", &["10.244.2.1", "10.244.2.2"]);
    rig.settle();
    rig.calls();
    audits(&mut rig);
    let (calls, writes) = rig.calls();
    // The list is distrusted in the first cycle. In the second one, some load balancers are read.
    let sample = sample(&rig, Kind::LoadBalancer);
    assert_eq!((calls, writes), (2 * AUDITS as u64 + 2 + sample, 0), "one load balancer is read, once");
    let [HostCondition::V1ListDistrusted { kind: Kind::LoadBalancer, contradiction: Contradiction::OtherContent(_) }] =
        rig.proxy.host_conditions()[..]
    else {
        panic!("{:?}", rig.proxy.host_conditions())
    };
}

#[test]
fn objects_that_come_and_go_do_not_make_a_v1_list_distrusted() {
    let mut rig = served("15.5", ApiVersion::V2);
    for number in 1..=AUDITS {
        let pod = rig.local("pod", &[&format!("10.244.1.{}", 100 + number)]);
        let foreign = rig.emulator.add(
            Kind::LoadBalancer,
            json!({"HostComputeEndpoints": [pod], "FrontendVIPs": ["172.16.0.1"],
                   "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 80}]}),
        );
        rig.sync();
        rig.emulator.remove(Kind::LoadBalancer, foreign);
        rig.emulator.remove(Kind::Endpoint, pod);
    }
    audits(&mut rig);
    assert_eq!((writes(&rig), distrusted(&rig)), (vec![], vec![]));
}

#[test]
fn a_v1_list_that_fails_is_read_again_in_the_next_cycle() {
    for kind in [Kind::Endpoint, Kind::LoadBalancer] {
        let mut rig = served("15.5", ApiVersion::V2);
        rig.emulator.inject(Fault::of_each(Which::V1List(kind), Effect::Fail(Hresult::E_ACCESSDENIED)));
        audits(&mut rig);
        assert_eq!((writes(&rig), distrusted(&rig)), (vec![], vec![]));
        assert_eq!(rig.proxy.host_conditions(), []);
    }
}

#[test]
fn a_list_that_lacks_objects_which_hns_has_removes_nothing() {
    for (api_version, which) in
        [(ApiVersion::V2, Which::V2List as fn(Kind) -> Which), (ApiVersion::V1, Which::V1List as fn(Kind) -> Which)]
    {
        for kind in [Kind::Endpoint, Kind::LoadBalancer] {
            for percent in [0, 50, 90] {
                let mut rig = served("15.5", api_version);
                let before = rig.objects();
                rig.emulator.inject(Fault::of_each(which(kind), Effect::Partial(percent)));
                audits(&mut rig);
                assert_eq!(
                    (writes(&rig), rig.objects()),
                    (vec![], before.clone()),
                    "{api_version:?} {kind:?} {percent}"
                );
                assert_eq!(rig.proxy.host_conditions(), [HostCondition::ListIncomplete { kind }]);
                assert_eq!(rig.proxy.take_drift(), []);
                rig.emulator.clear_faults();
                audits(&mut rig);
                assert_eq!((rig.proxy.host_conditions(), rig.objects()), (vec![], before));
            }
        }
    }
}

#[test]
fn one_list_that_lacks_everything_removes_nothing() {
    for kind in [Kind::Endpoint, Kind::LoadBalancer] {
        let mut rig = served("15.5", ApiVersion::V2);
        rig.emulator.inject_times(Fault::of_each(Which::V2List(kind), Effect::Partial(0)), 1);
        rig.sync();
        assert_eq!((writes(&rig), rig.proxy.take_drift(), rig.proxy.host_conditions()), (vec![], vec![], vec![]));
    }
}

#[test]
fn objects_that_hns_has_lost_are_created_again_after_the_same_audit() {
    for (api_version, in_envelope) in [(ApiVersion::V2, false), (ApiVersion::V1, false), (ApiVersion::V1, true)] {
        let mut rig = served("15.5", api_version);
        rig.emulator.change_options(|options| options.fails_in_envelope = in_envelope);
        let before = rig.objects();
        for lost in [1, 20] {
            for kind in [Kind::LoadBalancer, Kind::Endpoint] {
                let all = ids(&rig, kind).into_iter().filter(|id| proxy::identity::is_ours(*id));
                all.take(lost).for_each(|id| rig.emulator.remove(kind, id));
                rig.proxy.audit(&rig.client).unwrap();
                let cause = if kind == Kind::Endpoint { Cause::EndpointLost } else { Cause::LoadBalancerLost };
                let drift = by_cause(&rig.proxy.take_drift());
                assert_eq!(drift.into_iter().collect::<Vec<_>>(), [(cause, lost)], "{api_version:?}");
                rig.run();
                assert_eq!((rig.objects(), rig.proxy.host_conditions()), (before.clone(), vec![]));
            }
        }
    }
}

#[test]
fn an_endpoint_of_a_pod_that_hns_has_deleted_is_confirmed_with_one_call() {
    let mut rig = served("15.5", ApiVersion::V2);
    let pod = ids(&rig, Kind::Endpoint)[0];
    rig.emulator.remove(Kind::Endpoint, pod);
    rig.calls();
    rig.proxy.audit(&rig.client).unwrap();
    // The network is listed too: without it, all its endpoints would be missing.
    assert_eq!(rig.calls(), (2 + 1 + 1, 0));
    rig.run();
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0".into()));
}

#[test]
fn a_read_that_fails_confirms_nothing() {
    for code in [Hresult::RPC_S_SERVER_UNAVAILABLE, Hresult::E_ACCESSDENIED] {
        let mut rig = served("15.5", ApiVersion::V2);
        let before = rig.objects();
        rig.emulator.inject_times(Fault::of_each(Which::V2List(Kind::LoadBalancer), Effect::Partial(50)), 1);
        rig.emulator.fail_nth("HcnOpenLoadBalancer", 1, code);
        assert!(rig.proxy.audit(&rig.client).is_err());
        rig.settle();
        assert_eq!((writes(&rig), rig.objects()), (vec![], before));
    }
}

#[test]
fn a_list_of_networks_that_lacks_one_removes_no_backend() {
    let mut rig = Rig::with(&["L2Bridge", "L2Bridge"], "15.5", ApiVersion::V2);
    rig.cluster(vec![], vec![]);
    rig.local_in(SECOND, "pod", &["10.245.1.11"]);
    serve(&mut rig, "ns/first", "10.96.0.1", &["10.244.1.7"]);
    serve(&mut rig, "ns/second", "10.96.0.2", &["10.245.1.7"]);
    rig.settle();
    let before = rig.objects();
    rig.calls();
    // The first network is missing.
    rig.emulator.inject(Fault::of_each(Which::V1List(Kind::Network), Effect::Partial(50)));
    audits(&mut rig);
    assert_eq!((writes(&rig), rig.objects()), (vec![], before));
    assert_eq!(rig.proxy.host_conditions(), [HostCondition::ListIncomplete { kind: Kind::Network }]);
    rig.emulator.clear_faults();
    audits(&mut rig);
    assert_eq!((rig.proxy.host_conditions(), rig.calls().1), (vec![], 0));
}

/// An older load balancer, with the same id and a backend that is gone, returns between two audits.
fn an_older_load_balancer_returns(rig: &mut Rig, names: &[&str]) {
    let older: Vec<_> = rig.emulator.documents(Kind::LoadBalancer);
    for name in names {
        back(rig, name, &["10.244.2.9"]);
    }
    rig.settle();
    for document in older {
        let id = document["ID"].as_str().unwrap().parse().unwrap();
        rig.emulator.replace(Kind::LoadBalancer, id, document);
    }
    rig.calls();
}

#[test]
fn an_older_load_balancer_that_returns_is_found_although_it_is_the_only_one() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.settle();
    an_older_load_balancer_returns(&mut rig, &["ns/web"]);
    audits(&mut rig);
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.9:8080 flags 1/0", "remote 10.244.2.9"]);
    assert_eq!((writes(&rig), rig.proxy.host_conditions()), (vec!["HcnModifyLoadBalancer"], vec![]));
}

#[test]
fn older_load_balancers_that_return_are_found_although_there_are_no_others() {
    let mut rig = empty("15.5");
    let names: Vec<String> = (1..=9).map(|number| format!("ns/s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (number, name) in names.iter().enumerate() {
        serve(&mut rig, name, &format!("10.96.0.{number}"), &[&format!("10.244.2.{}", 20 + number)]);
    }
    rig.settle();
    an_older_load_balancer_returns(&mut rig, &names);
    audits(&mut rig);
    let expected: Vec<String> = (0..9).map(|n| format!("lb 10.96.0.{n}:80/6 -> 10.244.2.9:8080 flags 1/0")).collect();
    assert_eq!(rig.objects()[..9], expected);
    assert_eq!((writes(&rig), rig.proxy.host_conditions()), (vec!["HcnModifyLoadBalancer"; 9], vec![]));
}

#[test]
fn the_only_endpoint_that_another_program_modified_is_found() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.settle();
    let id = ids(&rig, Kind::Endpoint)[0];
    let mut document = rig.emulator.document(Kind::Endpoint, id).unwrap();
    let before = document.clone();
    document["MacAddress"] = json!("02-11-00-00-00-01");
    rig.emulator.replace(Kind::Endpoint, id, document.clone());
    audits(&mut rig);
    let found = ids(&rig, Kind::Endpoint).into_iter().map(|id| rig.emulator.document(Kind::Endpoint, id).unwrap());
    let macs: Vec<_> = found.map(|document| document["MacAddress"].clone()).collect();
    assert_eq!(macs, [before["MacAddress"].clone()]);
    assert_eq!(rig.proxy.host_conditions(), []);
}

#[test]
fn an_endpoint_that_another_program_modified_is_not_trusted_by_its_id_when_it_returns() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.settle();
    let id = ids(&rig, Kind::Endpoint)[0];
    let mut document = rig.emulator.document(Kind::Endpoint, id).unwrap();
    let before = document["MacAddress"].clone();
    document["MacAddress"] = json!("02-11-00-00-00-01");
    rig.emulator.replace(Kind::Endpoint, id, document.clone());
    // The modification is found, and its repair fails until the endpoint is gone.
    rig.emulator.inject(Fault::of_each(Which::Writes, Effect::Fail(Hresult::E_ACCESSDENIED)));
    audits(&mut rig);
    assert_eq!(by_cause(&rig.proxy.take_drift()).into_iter().collect::<Vec<_>>(), [(Cause::EndpointChanged, 1)]);
    rig.emulator.remove(Kind::Endpoint, id);
    rig.sync();
    rig.emulator.add(Kind::Endpoint, document);
    rig.sync();
    rig.emulator.clear_faults();
    rig.settle();
    rig.now += std::time::Duration::from_secs(60);
    rig.settle();
    let macs: Vec<_> = rig.emulator.documents(Kind::Endpoint).iter().map(|d| d["MacAddress"].clone()).collect();
    assert_eq!(macs, [before]);
}
