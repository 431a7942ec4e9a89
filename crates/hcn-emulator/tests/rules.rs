//! What the emulated HNS takes, refuses and reports, a test a rule.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use hcn::call::{Call, Handle, Method, Reply};
use hcn::{Error, Guid, Hcn, Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::rules::{self, Evidence};
use hcn_emulator::{Build, Emulator, Host};
use serde_json::{Value, json};

/// An emulator with an overlay network 10.244.1.0/24, and what a client would do with it.
struct Rig {
    emulator: Emulator,
    network: Guid,
}

type Answer<T> = Result<T, Hresult>;

fn code<T>(result: Result<T, Error>) -> Answer<T> {
    result.map_err(|error| error.code().unwrap())
}

impl Rig {
    fn new() -> Self {
        let mut rig = Self { emulator: Emulator::new("latest".parse().unwrap()), network: Guid::nil() };
        rig.network = rig.network("overlay", "10.244.1.0/24", "10.244.1.1").unwrap();
        rig
    }

    fn network(&self, name: &str, prefix: &str, gateway: &str) -> Answer<Guid> {
        self.create(
            Kind::Network,
            json!({"Name": name, "Type": "Overlay", "Ipams": [{"Type": "Static", "Subnets": [{"IpAddressPrefix": prefix,
                   "Routes": [{"NextHop": gateway, "DestinationPrefix": "0.0.0.0/0"}]}]}]}),
        )
    }

    fn call(&self, call: &Call) -> Answer<Reply> {
        code(self.emulator.call(call))
    }

    fn handle(&self, call: &Call) -> Answer<Handle> {
        match self.call(call)? {
            Reply::Handle(handle) => Ok(handle),
            other => panic!("{other:?}"),
        }
    }

    fn open(&self, kind: Kind, id: Guid) -> Answer<Handle> {
        self.handle(&Call::Open { kind, id })
    }

    fn create(&self, kind: Kind, mut document: Value) -> Answer<Guid> {
        document["SchemaVersion"] = json!({"Major": 2, "Minor": 0});
        let network = (kind == Kind::Endpoint).then(|| self.open(Kind::Network, self.network)).transpose()?;
        let handle = self.handle(&Call::Create { kind, network, id: Guid::nil(), settings: document.to_string() })?;
        let query = json!({"SchemaVersion": {"Major": 2, "Minor": 0}}).to_string();
        let Reply::Document(text) = self.call(&Call::Query { kind, handle, query })? else { panic!() };
        let document: Value = serde_json::from_str(&text).unwrap();
        Ok(document["ID"].as_str().unwrap().parse().unwrap())
    }

    fn modify(&self, kind: Kind, id: Guid, settings: &Value) -> Answer<()> {
        let handle = self.open(kind, id)?;
        self.call(&Call::Modify { kind, handle, settings: settings.to_string() }).map(drop)
    }

    fn delete(&self, kind: Kind, id: Guid) -> Answer<()> {
        self.call(&Call::Delete { kind, id }).map(drop)
    }

    fn remote(&self, address: &str) -> Guid {
        self.create(
            Kind::Endpoint,
            json!({"IpConfigurations": [{"IpAddress": address}], "MacAddress": "02-11-0a-f4-02-07", "Flags": 1}),
        )
        .unwrap()
    }

    fn balance(&self, vips: &[&str], port: u16, backends: &[Guid]) -> Answer<Guid> {
        self.create(
            Kind::LoadBalancer,
            json!({"HostComputeEndpoints": backends, "FrontendVIPs": vips,
                   "PortMappings": [{"Protocol": 6, "InternalPort": 8080, "ExternalPort": port}]}),
        )
    }

    fn hns(&self, method: Method, path: &str, body: &Value) -> Answer<Value> {
        let Reply::Document(text) = self.call(&Call::Hns { method, path: path.into(), body: body.to_string() })? else {
            panic!()
        };
        let envelope: Value = serde_json::from_str(&text).unwrap();
        Ok(if envelope["Success"] == json!(true) { envelope["Output"].clone() } else { envelope })
    }

    fn ids(&self, kind: Kind, filter: &Value) -> Vec<Guid> {
        let query = json!({"SchemaVersion": {"Major": 2, "Minor": 0}, "Filter": filter.to_string()}).to_string();
        let Ok(Reply::Document(text)) = self.call(&Call::Enumerate { kind, query }) else { panic!() };
        serde_json::from_str(&text).unwrap()
    }

    fn get(&self, kind: Kind, id: Guid) -> Value {
        self.emulator.document(kind, id).unwrap()
    }

    /// How an object says that it is there.
    fn is_there(&self, kind: Kind, id: Guid) -> bool {
        self.emulator.document(kind, id).is_some()
    }
}

fn parse(output: &Value) -> Guid {
    output["ID"].as_str().unwrap().parse().unwrap()
}

#[test]
fn v1_networks_keep_what_they_came_with() {
    let rig = Rig::new();
    let sent = json!({
        "Name": "v1", "Type": "L2Bridge", "NetworkAdapterName": "Ethernet",
        "Policies": [{"Type": "RemoteSubnetRoute", "DestinationPrefix": "10.9.0.0/24", "IsolationId": 7}],
        "MacPools": [{"StartMacAddress": "00-15-5D-52-C0-00", "EndMacAddress": "00-15-5D-52-C0-01"}],
        "Subnets": [{"AddressPrefix": "10.8.0.0/24", "GatewayAddress": "10.8.0.1", "Policies": [{"Type": "VLAN", "VLAN": 5}]}],
        "DNSSuffix": "a.local", "DNSServerList": "10.0.0.1,10.0.0.2", "ManagementIP": "10.8.0.9"
    });
    let made = rig.hns(Method::Post, "/networks/", &sent).unwrap();
    let mut expected = sent;
    expected["ID"] = made["ID"].clone();
    assert_eq!(made, expected);
    assert_eq!(made["ID"], json!(parse(&made).to_string().to_uppercase()));
}

#[test]
fn v1_endpoints_keep_what_they_came_with() {
    let rig = Rig::new();
    let sent = json!({
        "Name": "pod", "VirtualNetwork": rig.network,
        "Policies": [{"Type": "OutBoundNAT", "ExceptionList": ["10.96.0.0/12"]},
                     {"Type": "NAT", "Protocol": "UDP", "InternalPort": 53, "ExternalPort": 5353},
                     {"Type": "ROUTE", "DestinationPrefix": "10.96.0.0/12", "NeedEncap": true}],
        "MacAddress": "00:15:5d:00:00:aa", "IPAddress": "10.244.1.7", "PrefixLength": 24, "GatewayAddress": "10.244.1.1",
        "DNSSuffix": "cluster.local", "DNSServerList": "10.96.0.10", "EnableLowMetric": true, "Unheard": [1]
    });
    let made = rig.hns(Method::Post, "/endpoints/", &sent).unwrap();
    let mut expected = sent;
    expected["ID"] = made["ID"].clone();
    expected["VirtualNetworkName"] = json!("overlay");
    expected["State"] = json!(1);
    assert_eq!(made, expected);
    let policies: Vec<Value> = rig.get(Kind::Endpoint, parse(&made))["Policies"].as_array().unwrap().clone();
    let kinds: Vec<&Value> = policies.iter().map(|policy| &policy["Type"]).collect();
    assert_eq!(kinds, ["OutBoundNAT", "PortMapping", "SDNRoute"]);
    assert_eq!(policies[1]["Settings"], json!({"Protocol": 17, "InternalPort": 53, "ExternalPort": 5353}));
}

#[test]
fn route_policy_lists_are_routes_and_go_with_their_network() {
    let rig = Rig::new();
    let endpoint = rig.remote("10.244.2.7");
    let list = json!({"References": [format!("/endpoints/{endpoint}")],
                      "Policies": [{"Type": "ROUTE", "DestinationPrefix": "169.254.169.254/24", "NeedEncap": true}]});
    let made = rig.hns(Method::Post, "/policylists/", &list).unwrap();
    let id = parse(&made);
    assert_eq!((&made["References"], &made["Policies"]), (&list["References"], &list["Policies"]));
    let rules = json!([{"DestinationPrefix": "169.254.169.254/24", "NeedEncap": true}]);
    assert_eq!(
        rig.get(Kind::Route, id),
        json!({"ID": id, "HostComputeEndpoints": [endpoint], "Setting": rules, "Routes": rules,
               "SchemaVersion": {"Major": 2, "Minor": 0}})
    );
    rig.delete(Kind::Network, rig.network).unwrap();
    assert!(!rig.is_there(Kind::Route, id));
}

#[test]
fn dangling_backends_do_not_keep_a_load_balancer() {
    let rig = Rig::new();
    let (dangling, backend) = (rig.remote("10.244.2.7"), rig.remote("10.244.2.8"));
    let balancer = rig.balance(&["10.96.0.1"], 80, &[dangling, backend]).unwrap();
    rig.delete(Kind::Endpoint, dangling).unwrap();
    rig.delete(Kind::Network, rig.network).unwrap();
    assert!(!rig.is_there(Kind::LoadBalancer, balancer));
}

#[test]
fn others_on_the_host_meet_no_quirks() {
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
fn adding_an_object_of_an_id_that_is_there_replaces_it() {
    let rig = Rig::new();
    let id = rig.emulator.add(Kind::Endpoint, json!({"Name": "one"}));
    rig.emulator.add(Kind::Endpoint, json!({"ID": id, "Name": "two"}));
    let names: Vec<Value> = rig.emulator.documents(Kind::Endpoint).into_iter().map(|d| d["Name"].clone()).collect();
    assert_eq!(names, ["two"]);
}

#[test]
fn frontends_compare_as_addresses() {
    let rig = Rig::new();
    let backend = rig.remote("10.244.2.7");
    rig.balance(&["fd00::1"], 80, &[backend]).unwrap();
    assert_eq!(rig.balance(&["fd00:0:0::1"], 80, &[backend]), Err(Hresult::HCN_E_PORT_ALREADY_EXISTS));
    assert_eq!(rig.balance(&["nowhere"], 80, &[backend]), Err(Hresult::HCN_E_INVALID_IP));
    assert_eq!(rules::UNREADABLE_VIP.evidence, Evidence::Assumed);
}

#[test]
fn reserved_ports_are_those_of_every_address_of_the_host() {
    let rig = Rig::new();
    rig.emulator.set_node_ips(&["192.168.77.1".parse().unwrap()]);
    rig.emulator.change_quirks(|quirks| quirks.reserved_ports.extend([(6, 10256)]));
    let backend = rig.remote("10.244.2.7");
    let answers = [&[][..], &["192.168.77.1"], &["10.96.0.1"]].map(|vips| rig.balance(vips, 10256, &[backend]).err());
    let refused = Some(Hresult::HCN_E_PORT_ALREADY_EXISTS);
    assert_eq!(answers, [refused, refused, None]);
}

#[test]
fn backends_of_others_are_attached_and_those_of_calls_are_not() {
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
fn a_handle_is_of_one_creation() {
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
fn namespaces_and_attachment() {
    let rig = Rig::new();
    let (namespace, endpoint) =
        (rig.create(Kind::Namespace, json!({"Type": 2})).unwrap(), rig.create(Kind::Endpoint, json!({})).unwrap());
    assert_eq!(rig.get(Kind::Namespace, namespace)["Type"], json!("Guest"));
    let add = json!({"ResourceType": "Endpoint", "RequestType": "Add", "Settings": {"EndpointId": endpoint}});
    let seen = || {
        let document = rig.get(Kind::Endpoint, endpoint);
        (document["HostComputeNamespace"].clone(), document["State"].clone())
    };
    rig.modify(Kind::Namespace, namespace, &add).unwrap();
    assert_eq!(seen(), (json!(namespace), json!(2)));
    assert_eq!(rig.modify(Kind::Namespace, namespace, &add), Err(Hresult::HCN_E_ENDPOINT_NAMESPACE_ALREADY_EXISTS));
    rig.delete(Kind::Namespace, namespace).unwrap();
    assert_eq!(seen(), (Value::Null, json!(4)));
    let v1 = |id: Guid, verb: &str| {
        let output = rig.hns(Method::Post, &format!("/endpoints/{id}/{verb}"), &json!({}));
        output.map(|output| output["State"].clone())
    };
    assert_eq!(v1(endpoint, "attach"), Ok(json!(2)));
    assert_eq!(v1(endpoint, "attach"), Err(Hresult::HCN_E_ENDPOINT_ALREADY_ATTACHED));
    assert_eq!(v1(endpoint, "detach"), Ok(json!(4)));
    assert_eq!(v1(rig.remote("10.244.2.7"), "attach"), Err(Hresult::HCN_E_INVALID_REMOTE_ENDPOINT_OPERATION));
}

#[test]
fn v1_shows_namespaces_in_its_own_words() {
    let rig = Rig::new();
    let endpoint = rig.create(Kind::Endpoint, json!({})).unwrap();
    let made = rig.hns(Method::Post, "/namespaces/", &json!({"IsDefault": true})).unwrap();
    let namespace = parse(&made);
    assert_eq!((&made["IsDefault"], &made["ResourceList"]), (&json!(true), &json!([])));
    let body = json!({"Type": "Endpoint", "Data": {"Id": endpoint}});
    let resource = |verb: &str| rig.hns(Method::Post, &format!("/namespaces/{namespace}/{verb}"), &body);
    let seen =
        || rig.hns(Method::Get, &format!("/namespaces/{namespace}"), &json!({})).unwrap()["ResourceList"].clone();
    resource("addresource").unwrap();
    assert_eq!(seen(), json!([body]));
    let v2 = rig.get(Kind::Namespace, namespace);
    assert_eq!((&v2["Type"], &v2["Resources"]), (&json!("HostDefault"), &json!([body])));
    resource("removeresource").unwrap();
    assert_eq!(resource("removeresource"), Err(Hresult::ELEMENT_NOT_FOUND));
    assert_eq!(seen(), json!([]));
    let v2 = rig.create(Kind::Namespace, json!({"Type": "Guest", "NamespaceId": 7})).unwrap();
    let shown = rig.hns(Method::Get, &format!("/namespaces/{v2}"), &json!({})).unwrap();
    assert_eq!((&shown["CompartmentId"], &shown["IsDefault"]), (&json!(7), &Value::Null));
}

#[test]
fn namespaces_hold_containers_beside_endpoints() {
    let rig = Rig::new();
    let namespace = rig.create(Kind::Namespace, json!({})).unwrap();
    let endpoint = rig.create(Kind::Endpoint, json!({})).unwrap();
    let change = |kind: &str, verb: &str, settings: &Value| {
        let request = json!({"ResourceType": kind, "RequestType": verb, "Settings": settings});
        rig.modify(Kind::Namespace, namespace, &request)
    };
    // A container's id may look like an endpoint's.
    let container = json!({"ContainerId": endpoint});
    change("Container", "Add", &container).unwrap();
    change("Container", "Add", &container).unwrap();
    change("Endpoint", "Add", &json!({"EndpointId": endpoint})).unwrap();
    let resource = |kind: &str| json!({"Type": kind, "Data": {"Id": endpoint}});
    let resources = || rig.get(Kind::Namespace, namespace)["Resources"].clone();
    assert_eq!(resources(), json!([resource("Container"), resource("Endpoint")]));
    change("Container", "Remove", &container).unwrap();
    assert_eq!(resources(), json!([resource("Endpoint")]));
    assert_eq!(change("Container", "Remove", &container), Err(Hresult::ELEMENT_NOT_FOUND));
    assert_eq!(change("Container", "Add", &json!({})), Err(Hresult::E_INVALIDARG));
}

#[test]
fn containers_share_an_endpoint_until_the_last_one_leaves() {
    let rig = Rig::new();
    let endpoint = rig.create(Kind::Endpoint, json!({})).unwrap();
    let change = |verb: &str, container: &str| {
        let body = json!({"SystemType": "Container", "ContainerId": container});
        let output = rig.hns(Method::Post, &format!("/endpoints/{endpoint}/{verb}"), &body)?;
        Ok((output["State"].clone(), output["SharedContainers"].clone()))
    };
    assert_eq!(change("attach", "pause"), Ok((json!(2), json!(["pause"]))));
    assert_eq!(change("attach", "pause"), Err(Hresult::HCN_E_ENDPOINT_ALREADY_ATTACHED));
    assert_eq!(change("attach", "app"), Ok((json!(3), json!(["pause", "app"]))));
    assert_eq!(change("detach", "other"), Err(Hresult::HCN_E_ENDPOINT_NOT_ATTACHED));
    assert_eq!(change("detach", "pause"), Ok((json!(2), json!(["app"]))));
    assert_eq!(change("detach", "app"), Ok((json!(4), Value::Null)));
    change("attach", "pause").unwrap();
    change("attach", "app").unwrap();
    assert_eq!(change("detach", ""), Ok((json!(4), Value::Null)));
}

#[test]
fn load_balancers_change_by_document_or_by_endpoint() {
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
fn enumerations_are_taken_by_name_and_given_as_numbers() {
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
fn local_endpoints_get_what_they_lack_and_keep_what_they_have() {
    let rig = Rig::new();
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
fn mac_pools_are_used_up() {
    let rig = Rig::new();
    let network = rig.create(
        Kind::Network,
        json!({"Name": "few", "Type": "Overlay",
               "MacPool": {"Ranges": [{"StartMacAddress": "00-15-5D-52-C0-00", "EndMacAddress": "00-15-5D-52-C0-01"}]},
               "Ipams": [{"Subnets": [{"IpAddressPrefix": "10.8.0.0/24", "Flags": 1,
                          "Routes": [{"NextHop": "10.8.0.1", "DestinationPrefix": "0.0.0.0/0"}]}]}]}),
    );
    let rig = Rig { network: network.unwrap(), ..rig };
    let made = [(); 3].map(|()| {
        let document = rig.get(Kind::Endpoint, rig.create(Kind::Endpoint, json!({}))?);
        Ok((document["IpConfigurations"][0]["IpAddress"].clone(), document["MacAddress"].clone()))
    });
    // The gateway's address is not reserved in this subnet.
    let first = Ok((json!("10.8.0.1"), json!("00-15-5D-52-C0-00")));
    let second = Ok((json!("10.8.0.2"), json!("00-15-5D-52-C0-01")));
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
fn networks_and_policies_that_make_no_sense() {
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
fn backends_are_of_one_network() {
    let rig = Rig::new();
    let here = rig.remote("10.244.2.7");
    let other = rig.network("other", "10.8.0.0/24", "10.8.0.1").unwrap();
    let rig = Rig { network: other, ..rig };
    let there = rig.remote("10.244.2.7");
    assert_eq!(rig.balance(&["10.96.0.1"], 80, &[here, there]), Err(Hresult::HCN_E_INVALID_POLICY));
    assert_eq!(rig.ids(Kind::Endpoint, &json!({"VirtualNetworkName": "OTHER"})), [there]);
}

#[test]
fn options_for_what_is_not_known() {
    let rig = Rig::new();
    assert_eq!(rig.balance(&["10.96.0.1"], 80, &[]), Err(Hresult::HCN_E_INVALID_POLICY));
    rig.emulator.change_options(|options| {
        options.accepts_no_backend = true;
        options.fails_in_envelope = true;
    });
    assert!(rig.balance(&["10.96.0.1"], 80, &[]).is_ok());
    let answer = rig.hns(Method::Get, &format!("/policylists/{}", Guid::new_v4()), &Value::Null);
    assert_eq!(answer, Ok(json!({"Success": false, "Error": "Element not found. "})));
}

#[test]
fn accelerated_networking_is_a_list() {
    let rig = Rig::new();
    let list = json!({"MacAddressList": [{"MacAddress": "00-15-5D-00-00-01"}]});
    let none = json!({ "MacAddressList": [] });
    let answers =
        [Method::Post, Method::Get, Method::Delete, Method::Get].map(|m| rig.hns(m, "/accelnet/", &list).unwrap());
    assert_eq!(answers, [list.clone(), list, none.clone(), none]);
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
fn the_journal_tells_which_rule_refused_what() {
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
fn what_was_never_seen_is_assumed() {
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
