//! Rules for networks, endpoints and load balancers.

use hcn::call::{Call, Method};
use hcn::{Guid, Hresult, Kind};
use hcn_emulator::rules::{self, Evidence};
use serde_json::{Value, json};

use crate::rig::Rig;

#[test]
fn a_load_balancer_is_deleted_with_the_network_of_its_existing_backends() {
    let rig = Rig::new();
    let (dangling, backend) = (rig.remote("10.244.2.7"), rig.remote("10.244.2.8"));
    let balancer = rig.balance(&["10.96.0.1"], 80, &[dangling, backend]).unwrap();
    rig.delete(Kind::Endpoint, dangling).unwrap();
    rig.delete(Kind::Network, rig.network).unwrap();
    assert!(!rig.is_there(Kind::LoadBalancer, balancer));
}

#[test]
fn frontends_are_compared_as_addresses() {
    let rig = Rig::new();
    let backend = rig.remote("10.244.2.7");
    rig.balance(&["fd00::1"], 80, &[backend]).unwrap();
    assert_eq!(rig.balance(&["fd00:0:0::1"], 80, &[backend]), Err(Hresult::HCN_E_PORT_ALREADY_EXISTS));
    assert_eq!(rig.balance(&["nowhere"], 80, &[backend]), Err(Hresult::HCN_E_INVALID_IP));
    assert_eq!(rules::UNREADABLE_VIP.evidence, Evidence::Assumed);
}

#[test]
fn a_reserved_port_is_reserved_on_every_address_of_the_host() {
    let rig = Rig::new();
    rig.emulator.set_node_ips(&["192.168.77.1".parse().unwrap()]);
    rig.emulator.change_quirks(|quirks| quirks.reserved_ports.extend([(6, 10256)]));
    let backend = rig.remote("10.244.2.7");
    let answers = [&[][..], &["192.168.77.1"], &["10.96.0.1"]].map(|vips| rig.balance(vips, 10256, &[backend]).err());
    let refused = Some(Hresult::HCN_E_PORT_ALREADY_EXISTS);
    assert_eq!(answers, [refused, refused, None]);
}

#[test]
fn endpoints_of_other_users_are_attached_and_those_of_calls_are_not() {
    let rig = Rig::new();
    rig.emulator.change_quirks(|quirks| quirks.wants_attached_backends = true);
    let pod = rig.emulator.add_local_endpoint(rig.network, "pod", &["10.244.1.5".parse().unwrap()]);
    let own = rig.create(Kind::Endpoint, json!({})).unwrap();
    assert!(rig.balance(&["10.96.0.1"], 80, &[pod]).is_ok());
    assert_eq!(rig.balance(&["10.96.0.2"], 80, &[own]), Err(Hresult::HCN_E_PORT_NOT_FOUND));
    rig.hns(Method::Post, &format!("/endpoints/{own}/attach"), &json!({"SystemType": "Host"})).unwrap();
    assert!(rig.balance(&["10.96.0.2"], 80, &[own]).is_ok());
}

#[test]
fn a_handle_belongs_to_one_creation_of_an_object() {
    let rig = Rig::new();
    let id = Guid::new_v4();
    rig.create(Kind::Namespace, json!({"ID": id})).unwrap();
    let handle = rig.open(Kind::Namespace, id).unwrap();
    rig.delete(Kind::Namespace, id).unwrap();
    rig.create(Kind::Namespace, json!({"ID": id})).unwrap();
    let query = Call::Query { kind: Kind::Namespace, handle, query: String::new() };
    assert_eq!(rig.call(&query), Err(Hresult::HCN_E_OBJECT_USED_AFTER_UNLOAD));
}

#[test]
fn load_balancers_are_modified_by_document_or_by_endpoint() {
    let rig = Rig::new();
    let (one, two) = (rig.remote("10.244.2.7"), rig.remote("10.244.2.8"));
    let id = rig.balance(&["10.96.0.1"], 80, &[one]).unwrap();
    let mut document = rig.get(Kind::LoadBalancer, id);
    document["ID"] = json!(Guid::new_v4());
    assert_eq!(rig.modify(Kind::LoadBalancer, id, &document), Err(Hresult::E_INVALIDARG));
    let change = |verb: &str, endpoint: Guid| {
        let request = json!({"ResourceType": "Endpoint", "RequestType": verb, "Settings": {"EndpointId": endpoint}});
        rig.modify(Kind::LoadBalancer, id, &request).unwrap();
        rig.get(Kind::LoadBalancer, id)["HostComputeEndpoints"].clone()
    };
    assert_eq!(change("Add", two), json!([one, two]));
    assert_eq!(change("Remove", one), json!([two]));
}

#[test]
fn enumerations_are_accepted_by_name_and_returned_as_numbers() {
    let rig = Rig::new();
    let backend = rig.create(
        Kind::Endpoint,
        json!({"IpConfigurations": [{"IpAddress": "10.244.2.7"}], "MacAddress": "02-11-0a-f4-02-07", "Flags": "RemoteEndpoint"}),
    );
    let backend = backend.unwrap();
    let id = rig.create(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [backend], "Flags": "EnableDirectServerReturn",
               "PortMappings": [{"Protocol": "TCP", "InternalPort": 80, "ExternalPort": 80, "DistributionType": "SourceIP",
                                 "Flags": "LocalRoutedVip, UseMux"}]}),
    );
    let document = rig.get(Kind::LoadBalancer, id.unwrap());
    assert_eq!((rig.get(Kind::Endpoint, backend)["Flags"].clone(), document["Flags"].clone()), (json!(1), json!(1)));
    assert_eq!(
        document["PortMappings"],
        json!([{"Protocol": 6, "InternalPort": 80, "ExternalPort": 80, "DistributionType": 2, "Flags": 6}])
    );
}

#[test]
fn missing_members_of_local_endpoints_are_filled_in_and_others_are_kept() {
    let rig = Rig::new();
    rig.emulator.change_options(|options| options.accepts_unknown_members = true);
    let source_vip = json!({"IpConfigurations": [{"IpAddress": "10.244.1.250", "Extra": "kept"}],
                            "MacAddress": "16:3f:c8:c9:10:9d"});
    let id = rig.create(Kind::Endpoint, source_vip).unwrap();
    assert_eq!(
        rig.get(Kind::Endpoint, id),
        json!({"IpConfigurations": [{"IpAddress": "10.244.1.250", "Extra": "kept", "PrefixLength": 24}],
               "MacAddress": "16:3f:c8:c9:10:9d", "SchemaVersion": {"Major": 2, "Minor": 0}, "HostComputeNetwork": rig.network,
               "Name": "Ethernet", "Routes": [{"NextHop": "10.244.1.1", "DestinationPrefix": "0.0.0.0/0"}], "ID": id})
    );
    let pods =
        ["10.244.1.5", "10.244.1.6"].map(|ip| rig.emulator.add_local_endpoint(rig.network, ip, &[ip.parse().unwrap()]));
    let [one, two] = pods.map(|id| rig.get(Kind::Endpoint, id));
    assert_eq!(one["IpConfigurations"], json!([{"IpAddress": "10.244.1.5", "PrefixLength": 24}]));
    assert_ne!(one["MacAddress"], two["MacAddress"]);
}

#[test]
fn a_mac_pool_can_be_exhausted() {
    let rig = Rig::new();
    let network = rig.create(
        Kind::Network,
        json!({"Name": "few", "Type": "Overlay",
               "MacPool": {"Ranges": [{"StartMacAddress": "00-15-5D-52-C0-00", "EndMacAddress": "00-15-5D-52-C0-01"}]},
               "Ipams": [{"Subnets": [{"IpAddressPrefix": "10.8.0.0/30", "Flags": 1,
                          "Routes": [{"NextHop": "10.8.0.1", "DestinationPrefix": "0.0.0.0/0"}]}]}]}),
    );
    let rig = Rig { network: network.unwrap(), ..rig };
    let made = [(); 3].map(|()| {
        let document = rig.get(Kind::Endpoint, rig.create(Kind::Endpoint, json!({}))?);
        Ok((document["IpConfigurations"][0]["IpAddress"].clone(), document["MacAddress"].clone()))
    });
    // The address of the gateway is not reserved in this subnet.
    let first = Ok((json!("10.8.0.2"), json!("00-15-5D-52-C0-00")));
    let second = Ok((json!("10.8.0.1"), json!("00-15-5D-52-C0-01")));
    assert_eq!(made, [first, second, Err(Hresult::E_OUTOFMEMORY)]);
}

#[test]
fn port_mappings_collide_by_protocol_port_and_address() {
    let rig = Rig::new();
    let map = |vip: Value| {
        let settings = json!({"Protocol": "UDP", "InternalPort": 1, "ExternalPort": 56789, "VIP": vip});
        rig.create(Kind::Endpoint, json!({"Policies": [{"Type": "portmapping", "Settings": settings}]})).err()
    };
    let answers = [json!("1.1.1.1"), json!("1.1.1.2"), json!("1.1.1.1"), Value::Null].map(map);
    assert_eq!(answers, [None, None, Some(Hresult::HCN_E_PORT_ALREADY_EXISTS), None]);
}

#[test]
fn invalid_networks_and_policies_are_rejected() {
    let rig = Rig::new();
    let subnets = |prefixes: &[&str]| {
        let subnets: Vec<Value> = prefixes.iter().map(|prefix| json!({"IpAddressPrefix": prefix})).collect();
        rig.create(Kind::Network, json!({"Name": "odd", "Type": "Overlay", "Ipams": [{"Subnets": subnets}]}))
    };
    assert_eq!(subnets(&["10.8.0.1/24"]), Err(Hresult::HCN_E_INVALID_PREFIX));
    assert_eq!(subnets(&["10.8.0.0/16", "10.8.1.0/24"]), Err(Hresult::HCN_E_INVALID_SUBNET));
    let unknown = rig.create(Kind::Endpoint, json!({"Policies": [{"Type": "Sorcery"}]}));
    assert_eq!(unknown, Err(Hresult::HCN_E_INVALID_POLICY_TYPE));
    let handleless = Call::Create { kind: Kind::Endpoint, network: None, id: Guid::nil(), settings: "{}".into() };
    assert_eq!(rig.call(&handleless), Err(Hresult::E_HANDLE));
}

#[test]
fn a_nat_network_without_a_subnet_gets_one() {
    let rig = Rig::new();
    let prefixes = ["one", "two"].map(|name| {
        let id = rig.create(Kind::Network, json!({"Name": name, "Type": 0})).unwrap();
        rig.get(Kind::Network, id)["Ipams"][0]["Subnets"][0]["IpAddressPrefix"].clone()
    });
    assert_eq!(prefixes, ["172.16.0.0/20", "172.17.0.0/20"]);
}

#[test]
fn backends_must_be_in_one_network() {
    let rig = Rig::new();
    let here = rig.remote("10.244.2.7");
    let other = rig.network("other", "10.8.0.0/24", "10.8.0.1").unwrap();
    let rig = Rig { network: other, ..rig };
    let there = rig.remote("10.244.2.7");
    assert_eq!(rig.balance(&["10.96.0.1"], 80, &[here, there]), Err(Hresult::HCN_E_INVALID_POLICY));
    assert_eq!(rig.ids(Kind::Endpoint, &json!({"VirtualNetworkName": "OTHER"})), [there]);
}
