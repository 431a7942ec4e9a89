//! Features of the emulator alone: builds, faults, the journal, and changes by other users of HNS.

use hcn::call::Method;
use hcn::{Guid, Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::rules::{self, Evidence};
use hcn_emulator::{Build, Emulator, Host};
use serde_json::{Value, json};

use crate::rig::{Rig, parse};

#[test]
fn quirks_do_not_apply_to_other_users_of_hns() {
    let rig = Rig::new();
    rig.emulator.change_quirks(|quirks| {
        quirks.first_delete_fails = true;
        quirks.leaks_ports = true;
    });
    let backend = rig.remote("10.244.2.7");
    let balancer = rig.balance(&[], 80, &[backend]).unwrap();
    rig.emulator.remove(Kind::LoadBalancer, balancer);
    assert!(!rig.is_there(Kind::LoadBalancer, balancer));
    let balancer = rig.balance(&[], 80, &[backend]).unwrap();
    assert_eq!(rig.delete(Kind::LoadBalancer, balancer), Err(Hresult::ERROR_GEN_FAILURE));
    assert_eq!(rig.delete(Kind::LoadBalancer, balancer), Ok(()));
    assert_eq!(rig.balance(&[], 80, &[backend]), Err(Hresult::HCN_E_PORT_ALREADY_EXISTS), "leaked");
}

#[test]
fn adding_an_object_with_an_existing_id_replaces_it() {
    let rig = Rig::new();
    let id = rig.emulator.add(Kind::Endpoint, json!({"Name": "one"}));
    rig.emulator.add(Kind::Endpoint, json!({"ID": id, "Name": "two"}));
    let names: Vec<Value> = rig.emulator.documents(Kind::Endpoint).into_iter().map(|d| d["Name"].clone()).collect();
    assert_eq!(names, ["two"]);
}

#[test]
fn options_select_one_of_the_possible_behaviours() {
    let rig = Rig::new();
    assert_eq!(rig.balance(&["10.96.0.1"], 80, &[]), Err(Hresult::HCN_E_INVALID_JSON_REFERENCE));
    rig.emulator.change_options(|options| {
        options.accepts_no_backend = true;
        options.fails_in_envelope = true;
    });
    assert!(rig.balance(&["10.96.0.1"], 80, &[]).is_ok());
    let answer = rig.hns(Method::Get, &format!("/policylists/{}", Guid::new_v4()), &Value::Null);
    assert_eq!(answer, Ok(json!({"Success": false, "Error": "Element not found. "})));
}

#[test]
fn presets_have_two_names() {
    for (alias, name) in
        [("ws2019-rtm", "server2019-rtm"), ("WS2019", "server2019"), ("ws2022", "server2022"), ("ws2025", "server2025")]
    {
        assert_eq!(alias.parse::<Build>(), name.parse::<Build>());
    }
}

#[test]
fn the_journal_has_the_rule_that_rejected_each_call() {
    let rig = Rig::new();
    let backend = rig.remote("10.244.2.7");
    rig.emulator.reset_journal();
    let made = rig.balance(&["10.96.0.1"], 80, &[backend]).unwrap();
    assert!(rig.balance(&["10.96.0.1"], 80, &[backend]).is_err());
    let details = rig.emulator.journal_details();
    let seen: Vec<_> = details.iter().map(|d| (d.entry.function, d.kind, d.id == Some(made), d.rule)).collect();
    let kind = Some(Kind::LoadBalancer);
    assert_eq!(
        seen,
        [
            ("HcnCreateLoadBalancer", kind, true, None),
            ("HcnQueryLoadBalancerProperties", kind, true, None),
            ("HcnCreateLoadBalancer", kind, false, Some("FRONTEND_IN_USE")),
        ]
    );
}

#[test]
fn a_fault_can_be_limited() {
    let rig = Rig::new();
    let fault = Fault { which: Which::Any, from: 1, every: 1, effect: Effect::Fail(Hresult::ERROR_TIMEOUT) };
    rig.emulator.inject_times(fault, 2);
    let codes = [(); 3].map(|()| rig.hns(Method::Get, "/networks/", &Value::Null).err());
    assert_eq!(codes, [Some(Hresult::ERROR_TIMEOUT), Some(Hresult::ERROR_TIMEOUT), None]);
}

#[test]
fn a_list_can_lack_objects_although_it_succeeds() {
    let rig = Rig::new();
    let backends: Vec<Guid> = (1..=8).map(|last| rig.remote(&format!("10.244.2.{last}"))).collect();
    for last in 1..=4 {
        rig.balance(&[&format!("10.96.0.{last}")], 80, &backends).unwrap();
    }
    let lists = || {
        let v1 = |path| rig.hns(Method::Get, path, &Value::Null).unwrap().as_array().unwrap().len();
        let v2 = |kind| rig.ids(kind, &json!({})).len();
        [v1("/endpoints/"), v1("/policylists/"), v2(Kind::Endpoint), v2(Kind::LoadBalancer)]
    };
    let partial = |which, percent| rig.emulator.inject(Fault::of_each(which, Effect::Partial(percent)));
    partial(Which::V1List(Kind::Endpoint), 0);
    partial(Which::V1List(Kind::LoadBalancer), 75);
    assert_eq!(lists(), [0, 3, 8, 4]);
    partial(Which::V2List(Kind::Endpoint), 50);
    partial(Which::V2List(Kind::LoadBalancer), 0);
    assert_eq!(lists(), [0, 3, 4, 0]);
    assert_eq!(
        rig.hns(Method::Get, &format!("/endpoints/{}", backends[0]), &Value::Null).map(|v| parse(&v)),
        Ok(backends[0])
    );
    rig.emulator.clear_faults();
    assert_eq!(lists(), [8, 4, 8, 4]);
}

#[test]
fn a_list_can_show_an_earlier_moment() {
    let rig = Rig::new();
    let lists = || {
        let ids = |list: Value| list.as_array().unwrap().iter().map(parse).collect::<Vec<_>>();
        (ids(rig.hns(Method::Get, "/endpoints/", &Value::Null).unwrap()), rig.ids(Kind::Endpoint, &json!({})))
    };
    let first = rig.remote("10.244.2.1");
    rig.emulator.inject(Fault::of_each(Which::V1List(Kind::Endpoint), Effect::Stale));
    let second = rig.remote("10.244.2.2");
    rig.delete(Kind::Endpoint, first).unwrap();
    assert_eq!(lists(), (vec![first], vec![second]));
    rig.emulator.clear_faults();
    assert_eq!(lists(), (vec![second], vec![second]));
}

#[test]
fn rules_without_evidence_are_listed_as_assumed() {
    for rule in [rules::FIRST_DELETE, rules::REMOTE_HAS_ADDRESS] {
        assert_eq!(rule.evidence, Evidence::Assumed, "{}", rule.name);
    }
}

#[test]
fn the_objects_of_a_host_document_are_never_checked() {
    let host: Host = serde_json::from_value(json!({
        "hnsVersion": "15.5", "nodeIPs": ["192.168.77.1"],
        "objects": [{"_kind": "Endpoint", "ID": Guid::from_u128(7), "IpConfigurations": [{"IpAddress": "10.99.0.1"}],
                     "Policies": [{"Type": "Sorcery"}]}]
    }))
    .unwrap();
    assert_eq!(Emulator::from_host(&host).unwrap().documents(Kind::Endpoint).len(), 1);
}
