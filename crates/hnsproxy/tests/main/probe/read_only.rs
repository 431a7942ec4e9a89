//! Without `--write`: nothing is changed, and each deviation is found.

use hcn::{Hresult, Kind};
use hcn_emulator::Build;
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::testing::NETWORKS;
use serde_json::{Value, json};

use super::{answer, hns_of, pair, probe};
use crate::support::hns::Hns;
use crate::support::program::hnsproxy;
use crate::support::recording::{cluster_flag, host};

const BOUTIQUE: &str = "boutique-l2bridge";

#[test]
fn each_build_is_as_expected_and_not_written_to() {
    for build in Build::names() {
        for network_type in ["L2Bridge", "Overlay"] {
            let hns = hns_of(build, network_type);
            let survey = probe(&hns, &[]).expect(0).json();
            assert_eq!(hns.emulator.writes(), 0, "{build}");
            assert_eq!(survey["surveyVersion"], 1);
            assert_eq!(survey["networkChoice"]["name"], "cbr0", "{build}");
            assert_eq!((&survey["unknownMembers"], &survey["unreadable"]), (&json!([]), &json!([])), "{build}");
        }
    }
}

#[test]
fn objects_of_another_program_are_listed_with_their_likely_creator() {
    let hns = Hns::of("boutique-overlay");
    hnsproxy(&["run", &cluster_flag("boutique-overlay"), &hns.flag(), "--once", "--source-vip=10.244.1.9"]).expect(0);
    let balancer = |flags: u32| {
        json!({"FrontendVIPs": ["172.16.0.1"], "HostComputeEndpoints": [],
               "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 1 + flags, "Flags": flags}]})
    };
    for flags in [0, 1, 3] {
        hns.emulator.add(Kind::LoadBalancer, balancer(flags));
    }
    let survey = probe(&hns, &[]).expect(0).json();
    let foreign = survey["foreignLoadBalancers"].as_array().unwrap();
    let mut found: Vec<_> = foreign.iter().map(|one| (&one["frontends"][0], &one["likelyCreator"])).collect();
    found.sort_by_key(|(frontend, _)| frontend.to_string());
    let expected = [("1", "kube-proxy"), ("2", "docker"), ("4", "docker")]
        .map(|(port, creator)| (json!(format!("172.16.0.1:{port}/TCP")), json!(creator)));
    assert_eq!(found, expected.each_ref().map(|(frontend, creator)| (frontend, creator)));
}

#[test]
fn pods_without_an_exception_list_are_found() {
    let hns = hns_of("server2022", "L2Bridge");
    hns.emulator.add_local_endpoint(NETWORKS[0], "pod", &["10.244.1.7".parse().unwrap()]);
    hns.emulator.add_local_endpoint(NETWORKS[0], "cbr0", &["10.244.1.2".parse().unwrap()]);
    let survey = probe(&hns, &[]).expect(1).json();
    assert_eq!(answer(&survey, "localEndpoints"), pair("some not", "other"));
    let found = survey["endpointsWithoutPolicies"].as_array().unwrap();
    let brief: Vec<_> = found.iter().map(|one| (&one["name"], &one["address"])).collect();
    assert_eq!(brief, [(&json!("pod"), &json!("10.244.1.7"))]);
}

#[test]
fn members_that_are_unknown_or_cannot_be_read_are_listed() {
    let hns = hns_of("server2022", "L2Bridge");
    let document = json!({"FrontendVIPs": ["172.16.0.1"], "HostComputeEndpoints": [], "Flags": {"a": 1}, "Surprise": 7,
        "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 1, "Inside": 8}]});
    hns.emulator.add(Kind::LoadBalancer, document);
    let survey = probe(&hns, &[]).expect(1).json();
    assert_eq!(answer(&survey, "members"), pair("some not", "other"));
    let has = |list: &str, member: &str, value: &str| {
        let members = survey[list].as_array().unwrap();
        members.iter().any(|one| one["api"] == "v2" && one["member"] == member && one["value"] == value)
    };
    assert!(has("unreadable", "Flags", r#"{"a":1}"#) && has("unknownMembers", "Surprise", "7"), "{survey:#}");
    assert!(has("unknownMembers", "PortMappings.Inside", "8"), "{survey:#}");
    let documents = survey["unreadableDocuments"].as_array().unwrap();
    let of_v2: Vec<_> = documents.iter().filter(|one| one["api"] == "v2").collect();
    let [document] = of_v2[..] else { panic!("one document: {survey:#}") };
    let text: Value = serde_json::from_str(document["text"].as_str().unwrap()).unwrap();
    assert_eq!((&document["kind"], &text["Surprise"]), (&json!("LoadBalancer"), &json!(7)));
}

#[test]
fn a_v1_list_that_lacks_load_balancers_is_found() {
    let hns = Hns::on(&host(BOUTIQUE));
    hnsproxy(&["run", &cluster_flag(BOUTIQUE), &hns.flag(), "--once"]).expect(0);
    hns.emulator.inject(Fault::of_each(Which::V1List(Kind::LoadBalancer), Effect::Partial(50)));
    let survey = probe(&hns, &[]).expect(1).json();
    assert_eq!(answer(&survey, "loadBalancerLists"), pair("different", "other"));
    let lists = survey["lists"].as_array().unwrap();
    let of_balancers: Vec<&Value> = lists.iter().filter(|list| list["kind"] == "LoadBalancer").collect();
    let list = of_balancers.first().unwrap();
    assert_eq!((&list["v1"], &list["v2"]), (&json!(11), &json!(22)));
    assert_eq!(list["onlyV2"].as_array().unwrap().len(), 11);
}

#[test]
fn a_document_that_hns_does_not_return_is_listed_and_the_others_are_read() {
    let hns = Hns::on(&host(BOUTIQUE));
    hnsproxy(&["run", &cluster_flag(BOUTIQUE), &hns.flag(), "--once"]).expect(0);
    hns.emulator.fail_nth("HcnQueryLoadBalancerProperties", 3, Hresult::ERROR_GEN_FAILURE);
    let survey = probe(&hns, &[]).expect(1).json();
    let unreadable = survey["unreadable"].as_array().unwrap();
    let brief: Vec<_> = unreadable.iter().map(|one| (&one["kind"], &one["member"], &one["objects"])).collect();
    assert_eq!(brief, [(&json!("LoadBalancer"), &json!(""), &json!(1))]);
    let lists = survey["lists"].as_array().unwrap();
    assert_eq!(lists.iter().find(|list| list["kind"] == "LoadBalancer").unwrap()["compared"], 21);
}

#[test]
fn an_hns_that_does_not_answer_cannot_be_probed() {
    let hns = hns_of("server2022", "L2Bridge");
    hns.emulator.stop(&[]);
    let facts = probe(&hns, &[]).expect(2).json();
    let members: Vec<_> = facts.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((members, &facts["host"]["hnsVersion"]), (vec!["description", "host", "error"], &Value::Null));
    assert!(facts["error"].as_str().unwrap().contains("0x800706ba"), "{facts:#}");
    let table = hnsproxy(&["probe", &hns.flag()]).expect(2).stdout;
    assert!(table.contains("0x800706ba") && table.contains("service hns"), "{table}");
}

#[test]
fn the_v1_api_alone_can_be_probed() {
    let hns = hns_of("server2019-rtm", "L2Bridge");
    let survey = probe(&hns, &["--network-name=other"]).expect(0).json();
    assert_eq!((&survey["lists"], &survey["networkChoice"]["name"]), (&json!([]), &Value::Null));
}
