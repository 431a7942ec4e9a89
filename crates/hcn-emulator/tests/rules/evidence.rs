//! What reports of real nodes say about codes, records and documents, one test per report. `crates/hcn/tests/corpus` has the documents.

use hcn::call::{Call, Method};
use hcn::{Error, Guid, Hcn, Hresult, Kind};
use hcn_emulator::{Build, Pace};
use serde_json::{Value, json};

use crate::rig::{Answer, Rig, parse};

/// The builds of the presets.
fn builds() -> impl Iterator<Item = Build> {
    Build::names().map(|name| name.parse().unwrap())
}

/// A local endpoint with an address, by HNSCall.
fn local_v1(rig: &Rig, address: &str) -> Answer<Value> {
    rig.hns(Method::Post, "/endpoints/", &json!({"VirtualNetwork": rig.network, "IPAddress": address}))
}

fn local(rig: &Rig, address: &str) -> Answer<Guid> {
    rig.create(Kind::Endpoint, json!({"IpConfigurations": [{"IpAddress": address}]}))
}

#[test]
fn the_record_of_a_load_balancer_without_a_backend_says_what_is_missing() {
    let rig = Rig::new();
    let settings = json!({"SchemaVersion": {"Major": 2, "Minor": 0},
                          "PortMappings": [{"Protocol": 6, "InternalPort": 80, "ExternalPort": 80}]});
    let settings = settings.to_string();
    let create = Call::Create { kind: Kind::LoadBalancer, network: None, id: Guid::nil(), settings };
    let Err(Error::Hns { code, record, .. }) = rig.emulator.call(&create) else { panic!() };
    assert_eq!(code, Hresult::HCN_E_INVALID_JSON_REFERENCE);
    assert_eq!(record.unwrap().error, "The reference is invalid in the JSON document. A Reference is required");
}

#[test]
fn an_address_in_use_has_another_code_in_hns_9() {
    for build in builds() {
        let rig = Rig::of(&build.name);
        local_v1(&rig, "10.244.1.7").unwrap();
        let nine = build.version.major == 9;
        let expected =
            if nine { Hresult::ERROR_OBJECT_ALREADY_EXISTS } else { Hresult::HCN_E_ADDR_INVALID_OR_RESERVED };
        assert_eq!(local_v1(&rig, "10.244.1.7").err(), Some(expected), "{}", build.name);
        if build.version >= hcn::Version::new(9, 2) {
            let expected = Some(Hresult::HCN_E_ADDR_INVALID_OR_RESERVED);
            assert_eq!(local(&rig, "10.244.1.7").err(), expected, "{}", build.name);
        }
    }
}

#[test]
fn an_address_outside_of_the_subnets_has_a_code_by_family() {
    let rig = Rig::new();
    assert_eq!(local(&rig, "10.9.0.7"), Err(Hresult::HCN_E_INVALID_IP));
    assert_eq!(local(&rig, "fd00::7"), Err(Hresult::HCN_E_SUBNET_NOT_FOUND));
    let six = Rig { network: rig.network("six", "fd00::/64", "fd00::1").unwrap(), ..rig };
    assert_eq!(local(&six, "fd00:1::7"), Err(Hresult::HCN_E_INVALID_IP));
    assert_eq!(local(&six, "10.9.0.7"), Err(Hresult::HCN_E_INVALID_IP));
}

#[test]
fn an_endpoint_of_an_unknown_network_is_an_unknown_element() {
    let rig = Rig::new();
    let nowhere = Rig { network: Guid::from_u128(7), ..rig };
    assert_eq!(local_v1(&nowhere, "10.244.1.7"), Err(Hresult::ELEMENT_NOT_FOUND));
    assert_eq!(local(&nowhere, "10.244.1.7"), Err(Hresult::HCN_E_NETWORK_NOT_FOUND));
}

#[test]
fn ics_networks_with_one_name_have_a_code_of_their_own() {
    let rig = Rig::new();
    let create = |name: &str, kind: &str| rig.create(Kind::Network, json!({"Name": name, "Type": kind})).err();
    assert_eq!(create("switch", "ICS"), None);
    assert_eq!(create("Switch", "ICS"), Some(Hresult::ERROR_DUP_NAME));
    assert_eq!(create("switch", "Transparent"), Some(Hresult::HCN_E_NETWORK_ALREADY_EXISTS));
}

#[test]
fn policies_of_endpoints_are_checked() {
    let endpoint = |build: &str, kind: &str, settings: Value| {
        Rig::of(build).create(Kind::Endpoint, json!({"Policies": [{"Type": kind, "Settings": settings}]})).err()
    };
    let exception = json!({"Exceptions": ["10.0.0.0/8", "172.17.0.1/16"]});
    let invalid = Some(Hresult::HCN_E_INVALID_POLICY);
    let of_builds = ["server2019", "server2022"].map(|build| endpoint(build, "OutBoundNAT", exception.clone()));
    assert_eq!(of_builds, [None, invalid]);
    assert_eq!(endpoint("latest", "OutBoundNAT", json!({"Exceptions": ["10.0.0.0/8", "10.1.1.1"]})), None);
    let acl = |addresses: &str| endpoint("latest", "ACL", json!({"Action": "Block", "RemoteAddresses": addresses}));
    assert_eq!([acl("Any"), acl("10.0.0.0/8"), acl("")], [invalid, None, None]);
}

#[test]
fn policy_lists_are_never_applied() {
    let rig = Rig::new();
    let balancer = rig.balance(&["10.96.0.1"], 80, &[rig.remote("10.244.2.7")]).unwrap();
    let shown = rig.hns(Method::Get, &format!("/policylists/{balancer}"), &Value::Null).unwrap();
    assert_eq!((&shown["IsApplied"], &shown["State"]), (&json!(false), &json!(2)));
}

#[test]
fn endpoints_are_created_attached_or_shared() {
    let rig = Rig::new();
    let state = |id: Guid| rig.hns(Method::Get, &format!("/endpoints/{id}"), &Value::Null).unwrap()["State"].clone();
    let pod = rig.emulator.add_local_endpoint(rig.network, "pod", &["10.244.1.5".parse().unwrap()]);
    let (own, remote) = (rig.create(Kind::Endpoint, json!({})).unwrap(), rig.remote("10.244.2.7"));
    assert_eq!([pod, own, remote].map(state), [json!(2), json!(1), json!(1)]);
}

#[test]
fn chosen_addresses_are_all_of_the_subnet_and_not_in_order() {
    let rig = Rig::new();
    let rig = Rig { network: rig.network("few", "10.8.0.0/28", "10.8.0.1").unwrap(), ..rig };
    let address =
        |id: Guid| rig.get(Kind::Endpoint, id)["IpConfigurations"][0]["IpAddress"].as_str().unwrap().to_owned();
    let create = || rig.create(Kind::Endpoint, json!({}));
    let ids: Vec<Guid> = (0..13).map(|_| create().unwrap()).collect();
    let chosen: Vec<String> = ids.iter().copied().map(address).collect();
    let mut sorted: Vec<u8> = chosen.iter().map(|text| text.trim_start_matches("10.8.0.").parse().unwrap()).collect();
    assert_ne!(chosen[0], "10.8.0.2");
    sorted.sort_unstable();
    assert_eq!(sorted, (2..15).collect::<Vec<u8>>());
    assert_eq!(create(), Err(Hresult::E_OUTOFMEMORY));
    rig.delete(Kind::Endpoint, ids[4]).unwrap();
    assert_eq!(create().map(address), Ok(chosen[4].clone()));
}

#[test]
fn hns_adds_policies_by_itself() {
    let rig = Rig::new();
    let bridge = rig.create(
        Kind::Network,
        json!({"Name": "cbr0", "Type": "L2Bridge", "Ipams": [{"Subnets": [{"IpAddressPrefix": "10.8.0.0/24"}]}]}),
    );
    let rig = Rig { network: bridge.unwrap(), ..rig };
    let ids = [rig.create(Kind::Endpoint, json!({})).unwrap(), rig.remote("10.9.0.7")];
    for id in ids {
        let v1 = rig.hns(Method::Get, &format!("/endpoints/{id}"), &Value::Null).unwrap();
        assert_eq!(v1["Policies"], json!([{"Type": "L2Driver"}]));
        assert_eq!(rig.query(Kind::Endpoint, id)["Policies"], json!([{"Type": "L2Driver", "Settings": {}}]));
    }
    let vlans = |build: &str| {
        let rig = Rig::of(build);
        ["one", "two"].map(|name| {
            let id = rig.create(Kind::Network, json!({"Name": name, "Type": "NAT"})).unwrap();
            rig.hns(Method::Get, &format!("/networks/{id}"), &Value::Null).unwrap()["Policies"].clone()
        })
    };
    let [one, two] = [1, 2].map(|vlan| json!([{"Type": "VLAN", "VLAN": vlan}]));
    assert_eq!(vlans("server2022"), [one, two]);
    assert_eq!(vlans("server2019"), [Value::Null, Value::Null]);
}

#[test]
fn remote_endpoints_outside_of_the_subnets_have_no_prefix_length() {
    let rig = Rig::new();
    let configurations =
        ["10.244.1.7", "10.9.0.7"].map(|ip| rig.get(Kind::Endpoint, rig.remote(ip))["IpConfigurations"].clone());
    let [inside, outside] =
        [json!([{"IpAddress": "10.244.1.7", "PrefixLength": 24}]), json!([{"IpAddress": "10.9.0.7"}])];
    assert_eq!(configurations, [inside, outside]);
}

#[test]
fn deleting_a_missing_endpoint_fails_in_the_envelope_in_hns_9() {
    for build in builds() {
        let rig = Rig::of(&build.name);
        let answer = rig.hns(Method::Delete, &format!("/endpoints/{}", Guid::from_u128(7)), &Value::Null);
        let expected = match build.version.major {
            9 => Ok(json!({"Success": false, "Error": "The endpoint was not found. "})),
            _ => Err(Hresult::HCN_E_ENDPOINT_NOT_FOUND),
        };
        assert_eq!(answer, expected, "{}", build.name);
    }
}

#[test]
fn a_restored_load_balancer_has_its_frontend() {
    let rig = Rig::new();
    let backend = rig.remote("10.244.2.7");
    let balance = || rig.balance(&["10.96.0.1"], 80, &[backend]);
    balance().unwrap();
    assert_eq!(balance(), Err(Hresult::HCN_E_PORT_ALREADY_EXISTS));
    rig.emulator.stop(&[Kind::LoadBalancer]);
    rig.emulator.start();
    rig.emulator.reappear();
    assert_eq!(balance(), Err(Hresult::ERROR_ALREADY_EXISTS));
    let restored = rig.ids(Kind::LoadBalancer, &json!({}));
    restored.into_iter().for_each(|id| rig.delete(Kind::LoadBalancer, id).unwrap());
    balance().unwrap();
    assert_eq!(balance(), Err(Hresult::HCN_E_PORT_ALREADY_EXISTS));
}

#[test]
fn a_wildcard_listener_blocks_its_port_on_every_address() {
    let rig = Rig::new();
    let backend = rig.remote("10.244.2.7");
    let before = rig.balance(&["10.96.0.1"], 10256, &[backend]).unwrap();
    rig.emulator.change_quirks(|quirks| quirks.wildcard_listeners.extend([(6, 10256)]));
    let answers = [&[][..], &["10.96.0.2"]].map(|vips| rig.balance(vips, 10256, &[backend]).err());
    assert_eq!(answers, [Some(Hresult::HCN_E_PORT_ALREADY_EXISTS); 2]);
    assert!(rig.balance(&["10.96.0.2"], 80, &[backend]).is_ok());
    let document = rig.get(Kind::LoadBalancer, before);
    assert_eq!(rig.modify(Kind::LoadBalancer, before, &document), Ok(()));
}

#[test]
fn a_deleted_remote_endpoint_can_stay() {
    let rig = Rig::new();
    rig.emulator.change_quirks(|quirks| quirks.silent_delete = true);
    let (remote, own) = (rig.remote("10.244.2.7"), rig.create(Kind::Endpoint, json!({})).unwrap());
    let deleted = [remote, own].map(|id| (rig.delete(Kind::Endpoint, id), rig.is_there(Kind::Endpoint, id)));
    assert_eq!(deleted, [(Ok(()), true), (Ok(()), false)]);
    let v1 = rig.hns(Method::Delete, &format!("/endpoints/{remote}"), &Value::Null);
    assert_eq!((v1, rig.is_there(Kind::Endpoint, remote)), (Ok(Value::Null), true));
}

#[test]
fn a_deleted_load_balancer_can_stay() {
    let rig = Rig::new();
    rig.emulator.change_quirks(|quirks| quirks.silent_load_balancer_delete = true);
    let backend = rig.remote("10.244.2.7");
    let balancer = rig.balance(&["10.96.0.1"], 80, &[backend]).unwrap();
    let deleted = (rig.delete(Kind::LoadBalancer, balancer), rig.is_there(Kind::LoadBalancer, balancer));
    assert_eq!(deleted, (Ok(()), true));
    assert_eq!((rig.delete(Kind::Endpoint, backend), rig.is_there(Kind::Endpoint, backend)), (Ok(()), false));
}

#[test]
fn presets_have_the_versions_of_real_nodes() {
    let version = |name: &str| name.parse::<Build>().unwrap().version.to_string();
    let versions =
        ["server2019-rtm", "server2019", "server2022", "22h2", "server2025", "server2025-updated"].map(version);
    assert_eq!(versions, ["9.1", "9.5", "13.3", "15.0", "15.4", "16.0"]);
}

#[test]
fn writes_take_the_time_of_the_build() {
    let milliseconds = |name: &str| {
        let build: Build = name.parse().unwrap();
        [Pace::Immediate, Pace::Released, Pace::Updated].map(|pace| build.write_time(pace).as_millis())
    };
    assert_eq!(milliseconds("server2019"), [0, 3300, 660]);
    assert_eq!(milliseconds("server2022"), [0, 300, 30]);
}

#[test]
fn both_apis_have_the_ids_of_their_generation() {
    let rig = Rig::new();
    let made = local_v1(&rig, "10.244.1.7").unwrap();
    assert_eq!(made["ID"], json!(parse(&made).to_string().to_uppercase()));
    assert_eq!(made["VirtualNetwork"], json!(rig.network.to_string().to_uppercase()));
    assert_eq!(rig.query(Kind::Endpoint, parse(&made))["ID"], json!(parse(&made).to_string()));
}

#[test]
fn ids_before_hns_9_are_in_lower_case() {
    let rig = Rig::of("5.1");
    let made = local_v1(&rig, "10.244.1.7").unwrap();
    let ids = [parse(&made), rig.network].map(|id| json!(id.to_string()));
    assert_eq!([&made["ID"], &made["VirtualNetwork"]], ids.each_ref());
}

#[test]
fn namespaces_of_v1_have_no_schema_version() {
    let rig = Rig::new();
    let made = rig.hns(Method::Post, "/namespaces/", &json!({})).unwrap();
    assert_eq!(made["SchemaVersion"], json!({"Major": 0, "Minor": 0}));
    assert_eq!(rig.query(Kind::Namespace, parse(&made))["SchemaVersion"], json!({"Major": 2, "Minor": 0}));
}

#[test]
fn a_nat_network_with_any_prefix_has_one_of_its_own() {
    let rig = Rig::new();
    let subnets = json!([{"AddressPrefix": "0.0.0.0/0", "GatewayAddress": "0.0.0.0"}]);
    let made = rig.hns(Method::Post, "/networks/", &json!({"Name": "nat", "Type": "nat", "Subnets": subnets})).unwrap();
    let shown = [&made["Subnets"][0]["AddressPrefix"], &made["Subnets"][0]["GatewayAddress"]];
    assert_eq!(shown, [&json!("172.16.0.0/20"), &json!("172.16.0.1")]);
}
