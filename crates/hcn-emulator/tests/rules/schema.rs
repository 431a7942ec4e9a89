//! Documents with members that the published schema lacks.

use hcn::call::{Call, Method};
use hcn::{Error, Guid, Hcn, Hresult, Kind};
use serde_json::{Value, json};

use crate::rig::Rig;

/// The text of the error record of a creation.
fn creation(rig: &Rig, kind: Kind, mut document: Value) -> Result<(), String> {
    document["SchemaVersion"] = json!({"Major": 2, "Minor": 0});
    let network = (kind == Kind::Endpoint).then(|| rig.open(Kind::Network, rig.network).unwrap());
    let create = Call::Create { kind, network, id: Guid::nil(), settings: document.to_string() };
    match rig.emulator.call(&create) {
        Ok(_) => Ok(()),
        Err(Error::Hns { code: Hresult::HCN_E_INVALID_JSON, record, .. }) => Err(record.unwrap().error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_member_is_named_in_the_error_record() {
    let rig = Rig::new();
    let text = |name: &str| Err(format!("Invalid JSON document string. {{{{{name},UnknownField}}}}"));
    let namespace = json!({"Type": "Host", "CreateWithCompartment": true});
    assert_eq!(creation(&rig, Kind::Namespace, namespace), text("CreateWithCompartment"));
    let subnet = json!({"IpAddressPrefix": "10.8.0.0/24", "Gateway": "10.8.0.1"});
    let network = json!({"Name": "new", "Type": "Overlay", "Ipams": [{"Subnets": [subnet]}]});
    assert_eq!(creation(&rig, Kind::Network, network), text("Gateway"));
    let endpoint = json!({"IpConfigurations": [{"IpAddress": "10.244.1.7", "Prefix": 24}]});
    assert_eq!(creation(&rig, Kind::Endpoint, endpoint), text("Prefix"));
    let backend = rig.remote("10.244.2.7");
    let mapping = json!({"Protocol": 6, "InternalPort": 80, "ExternalPort": 80, "IdleTimeout": 4});
    let balancer = json!({"HostComputeEndpoints": [backend], "PortMappings": [mapping]});
    assert_eq!(creation(&rig, Kind::LoadBalancer, balancer), text("IdleTimeout"));
    let route = json!({"HostComputeEndpoints": [backend], "Hops": []});
    assert_eq!(creation(&rig, Kind::Route, route), text("Hops"));
}

#[test]
fn requests_and_queries_have_known_members_only() {
    let rig = Rig::new();
    let endpoint = rig.remote("10.244.2.7");
    let balancer = rig.balance(&["10.96.0.1"], 80, &[endpoint]).unwrap();
    let mut document = rig.query(Kind::LoadBalancer, balancer);
    assert_eq!(rig.modify(Kind::LoadBalancer, balancer, &document), Ok(()));
    document["Weight"] = json!(1);
    assert_eq!(rig.modify(Kind::LoadBalancer, balancer, &document), Err(Hresult::HCN_E_INVALID_JSON));
    let request = json!({"ResourceType": "Policy", "RequestType": "Add", "Settings": {}, "Force": true});
    assert_eq!(rig.modify(Kind::Endpoint, endpoint, &request), Err(Hresult::HCN_E_INVALID_JSON));
    let query = json!({"SchemaVersion": {"Major": 2, "Minor": 0}, "Limit": 5}).to_string();
    let list = Call::Enumerate { kind: Kind::Endpoint, query };
    assert_eq!(rig.call(&list), Err(Hresult::HCN_E_INVALID_JSON));
}

#[test]
fn settings_of_policies_and_documents_in_the_v1_schema_are_not_checked() {
    let rig = Rig::new();
    let policy = json!({"Type": "OutBoundNAT", "Settings": {"MaxPortPoolUsage": 64}});
    assert_eq!(creation(&rig, Kind::Endpoint, json!({ "Policies": [policy] })), Ok(()));
    let v1 = json!({"VirtualNetwork": rig.network, "Unheard": [1]});
    assert_eq!(rig.hns(Method::Post, "/endpoints/", &v1).unwrap()["Unheard"], json!([1]));
}

#[test]
fn unknown_members_are_accepted_and_kept_with_an_option() {
    let rig = Rig::new();
    rig.emulator.change_options(|options| options.accepts_unknown_members = true);
    let id = rig.create(Kind::Namespace, json!({"CreateWithCompartment": true})).unwrap();
    assert_eq!(rig.get(Kind::Namespace, id)["CreateWithCompartment"], json!(true));
}

/// The members that hnslib sends and reads (`hcn/hcnnetwork.go` and its siblings), as kube-proxy does.
#[test]
fn documents_of_hnslib_are_accepted() {
    let rig = Rig::new();
    let dns = json!({"Domain": "a.local", "Search": ["b.local"], "ServerList": ["10.96.0.10"], "Options": ["ndots:5"]});
    let route = json!({"NextHop": "10.8.0.1", "DestinationPrefix": "0.0.0.0/0", "Metric": 1});
    let policy = json!({"Type": "VSID", "Settings": {"IsolationId": 5000}});
    let subnet = json!({"IpAddressPrefix": "10.8.0.0/24", "Policies": [policy], "Routes": [route], "Flags": 1});
    let range = json!({"StartMacAddress": "00-15-5D-52-C0-00", "EndMacAddress": "00-15-5D-52-CF-FF"});
    let network = json!({"Name": "full", "Type": "Overlay", "Policies": [], "MacPool": {"Ranges": [range]}, "Dns": dns,
                         "Ipams": [{"Type": "Static", "Subnets": [subnet]}], "Flags": 8, "Health": {"Extra": {}}});
    assert_eq!(creation(&rig, Kind::Network, network), Ok(()));
    let endpoint = json!({"Name": "pod", "HostComputeNetwork": rig.network, "Policies": [], "Dns": dns, "Routes": [route],
                          "IpConfigurations": [{"IpAddress": "10.244.1.7", "PrefixLength": 24}], "Flags": 0,
                          "MacAddress": "00-15-5D-52-C0-01", "Health": {"Extra": {}},
                          "HostComputeNamespace": "00000000-0000-0000-0000-000000000000"});
    assert_eq!(creation(&rig, Kind::Endpoint, endpoint), Ok(()));
    let mapping = json!({"Protocol": 6, "InternalPort": 80, "ExternalPort": 80, "DistributionType": 2, "Flags": 2});
    let backend = rig.remote("10.244.2.7");
    let balancer = json!({"HostComputeEndpoints": [backend], "SourceVIP": "10.244.1.250", "FrontendVIPs": ["10.96.0.1"],
                          "PortMappings": [mapping], "Flags": 1});
    assert_eq!(creation(&rig, Kind::LoadBalancer, balancer), Ok(()));
    let namespace = json!({"NamespaceId": 1, "Type": "Host", "Resources": []});
    assert_eq!(creation(&rig, Kind::Namespace, namespace), Ok(()));
    let routes = json!({"HostComputeEndpoints": [backend], "Setting": [{"DestinationPrefix": "10.96.0.0/12", "NeedEncap": true}]});
    assert_eq!(creation(&rig, Kind::Route, routes), Ok(()));
}

#[test]
fn members_that_are_not_published_can_be_left_out() {
    let rig = Rig::new();
    rig.emulator.change_options(|options| options.drops_unknown_members = true);
    let backend = rig.remote("10.244.2.7");
    let mapping = |unheard: bool| {
        let mut mapping = json!({"Protocol": 6, "InternalPort": 8080, "ExternalPort": 80});
        if unheard {
            mapping["Unheard"] = json!(1);
        }
        mapping
    };
    let id = rig.create(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [backend], "FrontendVIPs": ["10.96.0.1"], "PortMappings": [mapping(true)],
               "Unheard": 1}),
    );
    let mut document = rig.get(Kind::LoadBalancer, id.unwrap());
    assert_eq!((document.get("Unheard"), &document["PortMappings"]), (None, &json!([mapping(false)])));
    document["Unheard"] = json!(1);
    rig.modify(Kind::LoadBalancer, id.unwrap(), &document).unwrap();
    assert_eq!(rig.get(Kind::LoadBalancer, id.unwrap()).get("Unheard"), None);
}
