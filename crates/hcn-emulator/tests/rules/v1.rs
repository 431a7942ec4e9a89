//! The HNS v1 API: its documents, routes and accelerated networking.

use hcn::Kind;
use hcn::call::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, parse};

#[test]
fn v1_networks_keep_their_members() {
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
fn v1_endpoints_keep_their_members() {
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
    expected["VirtualNetwork"] = json!(rig.network.to_string().to_uppercase());
    expected["VirtualNetworkName"] = json!("overlay");
    expected["State"] = json!(1);
    assert_eq!(made, expected);
    let policies: Vec<Value> = rig.get(Kind::Endpoint, parse(&made))["Policies"].as_array().unwrap().clone();
    let kinds: Vec<&Value> = policies.iter().map(|policy| &policy["Type"]).collect();
    assert_eq!(kinds, ["OutBoundNAT", "PortMapping", "SDNRoute"]);
    assert_eq!(policies[1]["Settings"], json!({"Protocol": 17, "InternalPort": 53, "ExternalPort": 5353}));
}

#[test]
fn route_policy_lists_are_routes_and_are_deleted_with_their_network() {
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
fn accelerated_networking_is_a_list() {
    let rig = Rig::new();
    let list = json!({"MacAddressList": [{"MacAddress": "00-15-5D-00-00-01"}]});
    let none = json!({ "MacAddressList": [] });
    let answers =
        [Method::Post, Method::Get, Method::Delete, Method::Get].map(|m| rig.hns(m, "/accelnet/", &list).unwrap());
    assert_eq!(answers, [list.clone(), list, none.clone(), none]);
}
