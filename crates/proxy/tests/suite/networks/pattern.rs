//! Networks that the settings name by a pattern, or not at all.

use hcn::{ApiVersion, Guid, Kind};
use proxy::AuditError;
use serde_json::json;

use crate::faults::serve;
use crate::rig::{NETWORK, Rig, SECOND};

/// Networks of these types, whose names in the settings are `names`, and a Service with a backend on another node.
fn rig(types: &[&str], names: &[&str], api_version: ApiVersion) -> Rig {
    let mut rig = Rig::with(types, "15.5", api_version);
    rig.settings.network_names = names.iter().map(ToString::to_string).collect();
    rig.restart();
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.7"]);
    rig
}

fn rename(rig: &Rig, id: Guid, name: &str) {
    let mut document = rig.emulator.document(Kind::Network, id).unwrap();
    document["Name"] = name.into();
    rig.emulator.replace(Kind::Network, id, document);
}

/// The names and the candidates of the networks.
fn networks(rig: &Rig) -> Vec<(String, Vec<String>)> {
    rig.proxy.networks().iter().map(|named| (named.name.clone(), named.candidates.clone())).collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn ambiguous(pattern: &str, candidates: &[&str]) -> AuditError {
    AuditError::NetworkAmbiguous { name: pattern.into(), candidates: strings(candidates) }
}

#[test]
fn without_a_name_the_only_network_for_pods_is_used() {
    for api_version in [ApiVersion::V2, ApiVersion::V1] {
        let mut rig = rig(&["L2Bridge", "NAT"], &["*"], api_version);
        rig.settle();
        assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.1.7:8080 flags 1/0", "remote 10.244.1.7"]);
        assert_eq!(networks(&rig), [("cbr0".into(), strings(&["cbr0"]))]);
        assert_eq!(rig.proxy.host_conditions(), []);
        rig.restart();
        rig.calls();
        rig.sync();
        assert_eq!(rig.calls().1, 0, "a restart writes");
    }
}

#[test]
fn of_several_networks_for_pods_none_is_used_until_one_is_left() {
    let mut rig = rig(&["L2Bridge", "Overlay"], &["*"], ApiVersion::V2);
    rig.calls();
    for _ in 0..2 {
        assert_eq!(rig.proxy.audit(&rig.client), Err(ambiguous("*", &["cbr0", "cbr1"])));
        rig.run();
    }
    assert_eq!(rig.calls().1, 0);
    // Installers of network plugins leave it.
    rename(&rig, SECOND, "External");
    rig.settle();
    assert_eq!(networks(&rig), [("cbr0".into(), strings(&["cbr0"]))]);
}

#[test]
fn a_pattern_means_the_network_with_such_a_name() {
    let mut rig = rig(&["L2Bridge", "L2Bridge"], &["vpcbr*"], ApiVersion::V2);
    let known = strings(&["cbr0", "cbr1"]);
    assert_eq!(rig.proxy.audit(&rig.client), Err(AuditError::NetworkAbsent { name: "vpcbr*".into(), known }));
    rename(&rig, NETWORK, "vpcbr02aa");
    rig.settle();
    assert_eq!(networks(&rig), [("vpcbr02aa".into(), strings(&["vpcbr02aa"]))]);
    // The network in use stays in use, but the next process cannot know which one it is.
    rename(&rig, SECOND, "VPCBR02bb");
    rig.calls();
    (0..12).for_each(|_| drop(rig.sync()));
    assert_eq!(networks(&rig), [("vpcbr02aa".into(), strings(&["VPCBR02bb", "vpcbr02aa"]))]);
    assert_eq!(rig.calls().1, 0);
    rig.restart();
    assert_eq!(rig.proxy.audit(&rig.client), Err(ambiguous("vpcbr*", &["VPCBR02bb", "vpcbr02aa"])));
}

#[test]
fn a_network_that_is_created_again_is_found_again() {
    for name in ["cbr0", "other"] {
        let mut rig = rig(&["L2Bridge"], &["*"], ApiVersion::V2);
        rig.settle();
        let mut document = rig.emulator.document(Kind::Network, NETWORK).unwrap();
        rig.emulator.remove(Kind::Network, NETWORK);
        assert_eq!(rig.proxy.audit(&rig.client), Err(AuditError::NetworkAbsent { name: "*".into(), known: vec![] }));
        document["ID"] = json!("7b60c1d9-602e-5110-8c89-a9475b8973ff");
        document["Name"] = name.into();
        rig.emulator.add(Kind::Network, document);
        rig.settle();
        assert_eq!(networks(&rig), [(name.into(), strings(&[name]))]);
        assert_eq!(rig.objects().len(), 2);
    }
}

#[test]
fn two_patterns_and_names_mean_different_networks() {
    let mut rig = rig(&["L2Bridge", "L2Bridge"], &["*", "cbr0"], ApiVersion::V2);
    rig.settle();
    let names = |rig: &Rig| networks(rig).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&rig), ["cbr1", "cbr0"]);
    rig.settings.network_names = strings(&["*1", "cbr*"]);
    rig.restart();
    rig.settle();
    assert_eq!(names(&rig), ["cbr1", "cbr0"]);
}
