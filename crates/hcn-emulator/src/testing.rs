//! The smallest hosts, for tests and benchmarks.

use hcn::Guid;
use serde_json::{Value, json};

use crate::host::Host;

/// The ids of the networks of [`host`], in order.
pub const NETWORKS: [Guid; 2] = [
    Guid::from_u128(0x7b60_c1d9_602e_5110_8c89_a947_5b89_732c),
    Guid::from_u128(0x7b60_c1d9_602e_5110_8c89_a947_5b89_732d),
];

/// A host with a version of HNS and networks of these types, at most two, and no endpoint.
///
/// The node is `here`, 192.168.77.1 and fd00:77::1. The networks are `cbr0` with 10.244.1.0/24, and `cbr1` with 10.245.1.0/24. An overlay
/// network has the subnets 2 and 3 of other nodes, 192.168.77.2 and 192.168.77.3.
pub fn host(hns_version: &str, network_types: &[&str]) -> Host {
    let networks = NETWORKS.iter().zip(network_types).enumerate();
    Host {
        hns_version: hns_version.to_owned(),
        node: "here".to_owned(),
        node_ips: vec![[192, 168, 77, 1].into(), [0xfd00, 0x77, 0, 0, 0, 0, 0, 1].into()],
        host_mac: Some("16:3f:c8:c9:10:9d".to_owned()),
        objects: networks.map(|(number, (id, network_type))| network(number, *id, network_type)).collect(),
    }
}

fn network(number: usize, id: Guid, network_type: &str) -> Value {
    let prefix = format!("10.{}", 244 + number);
    let remote_subnet = |third: u8| {
        json!({"Type": "RemoteSubnetRoute", "Settings": {"DestinationPrefix": format!("{prefix}.{third}.0/24"),
               "IsolationId": 4096, "ProviderAddress": format!("192.168.77.{third}"),
               "DistributedRouterMacAddress": "00-15-5D-77-00-02"}})
    };
    let policies = if network_type == "Overlay" { vec![remote_subnet(2), remote_subnet(3)] } else { vec![] };
    let subnet = json!({"IpAddressPrefix": format!("{prefix}.1.0/24"),
                        "Routes": [{"NextHop": format!("{prefix}.1.1"), "DestinationPrefix": "0.0.0.0/0"}]});
    json!({
        "_kind": "Network", "ID": id, "Name": format!("cbr{number}"), "Type": network_type, "Policies": policies,
        "Ipams": [{"Type": "Static", "Subnets": [subnet]}], "SchemaVersion": {"Major": 2, "Minor": 0}
    })
}
