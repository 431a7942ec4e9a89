//! The objects that a probe creates: recognized by their ids, or by their contents if HNS has chosen other ids.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use hcn::schema::{
    Endpoint, EndpointFlags, IpConfiguration, LoadBalancer, LoadBalancerFlags, Network, Policy, PortMapping, Protocol,
};
use hcn::{Guid, Kind};
use ipnet::IpNet;

/// Marks the ids: the first four bytes of the SHA-256 of `hnsproxy probe`.
const MARK: [u8; 4] = [0x40, 0x1b, 0xea, 0x34];
/// The name of the endpoints. Those of kube-proxy and hnsproxy have none.
const ENDPOINT_NAME: &str = "hnsproxy-probe";
/// The ports of the frontends and of the backends. Below 49152, where the dynamic ports of Windows begin.
const PORT: u16 = 40127;
const BACKEND_PORT: u16 = 40128;
/// The third bytes of the addresses: TEST-NET-1 for endpoints, TEST-NET-2 for frontends (RFC 5737).
const TEST_NET_1: [u8; 3] = [192, 0, 2];
const TEST_NET_2: [u8; 3] = [198, 51, 100];
/// The numbers of the ids.
pub(super) const FIRST_ENDPOINT: u8 = 1;
pub(super) const SECOND_ENDPOINT: u8 = 2;
pub(super) const OTHER_ENDPOINT: u8 = 3;
/// The backends of further load balancers, each with one.
pub(super) const OF_SAME_FRONTEND: u8 = 4;
pub(super) const OF_SAME_ID: u8 = 5;
pub(super) const OF_UNKNOWN_MEMBER: u8 = 6;
pub(super) const OF_REUSED_ID: u8 = 7;
pub(super) const MEASURED_ENDPOINT: u8 = 8;
pub(super) const LOAD_BALANCER: u8 = 0x11;
pub(super) const SECOND_LOAD_BALANCER: u8 = 0x12;
pub(super) const WITHOUT_BACKEND: u8 = 0x13;
pub(super) const WITH_UNKNOWN_MEMBER: u8 = 0x14;

pub(super) const NUMBERS: [(Kind, &[u8]); 2] = [
    (
        Kind::Endpoint,
        &[
            FIRST_ENDPOINT,
            SECOND_ENDPOINT,
            OTHER_ENDPOINT,
            OF_SAME_FRONTEND,
            OF_SAME_ID,
            OF_UNKNOWN_MEMBER,
            OF_REUSED_ID,
            MEASURED_ENDPOINT,
        ],
    ),
    (Kind::LoadBalancer, &[LOAD_BALANCER, SECOND_LOAD_BALANCER, WITHOUT_BACKEND, WITH_UNKNOWN_MEMBER]),
];

/// An id of the probe.
pub(super) fn id(number: u8) -> Guid {
    let [m0, m1, m2, m3] = MARK;
    uuid::Builder::from_custom_bytes([m0, m1, m2, m3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number]).into_uuid()
}

/// The id of an object that never exists.
pub(super) fn absent() -> Guid {
    id(u8::MAX)
}

/// A remote endpoint: it serves nobody, and HNS needs no port of a switch for it. Overlay networks require the address of a node.
pub(super) fn endpoint(number: u8, overlay: bool) -> Endpoint {
    let [a, b, c] = TEST_NET_1;
    let node = IpAddr::V4(Ipv4Addr::new(a, b, c, 254));
    Endpoint {
        name: ENDPOINT_NAME.into(),
        ip_configurations: vec![IpConfiguration {
            ip_address: Ipv4Addr::new(a, b, c, number).to_string(),
            ..IpConfiguration::default()
        }],
        // Letters in both cases and colons, to see whether HNS returns it as it was sent.
        mac_address: format!("02:11:C0:00:0a:{number:02x}"),
        flags: EndpointFlags::REMOTE,
        policies: if overlay { vec![Policy::provider_address(node)] } else { Vec::new() },
        ..Endpoint::default()
    }
}

/// An endpoint of this node, with an address that no network of pods has.
pub(super) fn local_endpoint(number: u8) -> Endpoint {
    Endpoint { flags: EndpointFlags::NONE, mac_address: String::new(), ..endpoint(number, false) }
}

/// A load balancer on an address for documentation. With direct server return, it takes no ports of the host.
pub(super) fn load_balancer(number: u8, dsr: bool, backends: &[Guid]) -> LoadBalancer {
    let [a, b, c] = TEST_NET_2;
    LoadBalancer {
        host_compute_endpoints: backends.iter().map(Guid::to_string).collect(),
        frontend_vips: vec![Ipv4Addr::new(a, b, c, number).to_string()],
        port_mappings: vec![PortMapping {
            protocol: Protocol::TCP,
            internal_port: BACKEND_PORT,
            external_port: PORT,
            ..PortMapping::default()
        }],
        flags: LoadBalancerFlags::NONE.with(LoadBalancerFlags::DSR, dsr),
        ..LoadBalancer::default()
    }
}

/// `foreign` are endpoints of other programs.
pub(super) fn is_load_balancer(document: &LoadBalancer, foreign: &BTreeSet<Guid>) -> bool {
    let is_own = |mapping: &PortMapping| mapping.external_port == PORT && mapping.internal_port == BACKEND_PORT;
    let by_content = !document.frontend_vips.is_empty()
        && document.vips().count() == document.frontend_vips.len()
        && document.vips().all(|vip| is_in(vip, TEST_NET_2))
        && document.port_mappings.iter().all(is_own)
        && !document.port_mappings.is_empty()
        && !document.endpoint_ids().any(|id| foreign.contains(&id));
    by_content || document.id.is_some_and(is_marked)
}

pub(super) fn is_endpoint(document: &Endpoint) -> bool {
    document.id.is_some_and(is_marked) || document.name == ENDPOINT_NAME
}

/// Whether an endpoint has an address of those of the probe.
pub(super) fn has_address(document: &Endpoint) -> bool {
    let addresses = document.ip_configurations.iter().filter_map(|one| one.ip_address.parse().ok());
    addresses.into_iter().any(|address| is_in(address, TEST_NET_1) || is_in(address, TEST_NET_2))
}

/// Whether a load balancer has an address of those of the probe, or its port on each address.
pub(super) fn has_frontend(document: &LoadBalancer) -> bool {
    let on_port = document.port_mappings.iter().any(|mapping| mapping.external_port == PORT);
    (document.frontend_vips.is_empty() && on_port)
        || document.vips().any(|vip| is_in(vip, TEST_NET_1) || is_in(vip, TEST_NET_2))
}

/// The first subnet of a network that has addresses of those of the probe.
pub(super) fn subnet_of(network: &Network) -> Option<&str> {
    let overlaps = |prefix: IpNet| {
        // HNS replaces 0.0.0.0/0, which NAT networks have.
        prefix.prefix_len() > 0 && [TEST_NET_1, TEST_NET_2].into_iter().any(|test_net| overlaps(prefix, test_net))
    };
    let prefixes = network.ipams.iter().flat_map(|ipam| &ipam.subnets).map(|subnet| subnet.ip_address_prefix.as_str());
    prefixes.into_iter().find(|prefix| prefix.parse().is_ok_and(overlaps))
}

fn overlaps(prefix: IpNet, [a, b, c]: [u8; 3]) -> bool {
    let first = IpAddr::V4(Ipv4Addr::new(a, b, c, 0));
    prefix.contains(&first) || is_in(prefix.network(), [a, b, c])
}

fn is_in(address: IpAddr, test_net: [u8; 3]) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets().starts_with(&test_net))
}

pub(super) fn is_marked(id: Guid) -> bool {
    id.get_version_num() == 8 && id.as_bytes().starts_with(&MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_recognized_with_and_without_their_ids() {
        let is_load_balancer = |document: &LoadBalancer| super::is_load_balancer(document, &BTreeSet::new());
        let with_id = |id| LoadBalancer { id: Some(id), ..LoadBalancer::default() };
        let other = Guid::from_u128(1);
        assert!(is_load_balancer(&with_id(id(1))) && !is_load_balancer(&with_id(other)));
        assert!(!proxy::identity::is_ours(id(1)));
        let ours = LoadBalancer { id: Some(other), ..load_balancer(1, true, &[]) };
        assert!(is_load_balancer(&ours));
        assert!(!is_load_balancer(&LoadBalancer { frontend_vips: vec!["10.96.0.1".into()], ..ours.clone() }));
        assert!(!is_load_balancer(&LoadBalancer { frontend_vips: vec![], ..ours.clone() }));
        let backend = Guid::from_u128(2);
        let with_backend = LoadBalancer { host_compute_endpoints: vec![backend.to_string()], ..ours.clone() };
        assert!(is_load_balancer(&with_backend));
        assert!(!super::is_load_balancer(&with_backend, &BTreeSet::from([backend])));
        let mut other_port = ours;
        other_port.port_mappings.iter_mut().for_each(|mapping| mapping.external_port = 80);
        assert!(!is_load_balancer(&other_port));
        assert!(is_endpoint(&endpoint(11, false)));
        assert!(!is_endpoint(&Endpoint { name: "pod".into(), ..endpoint(11, true) }));
    }

    #[test]
    fn subnets_with_addresses_of_the_probe_are_found() {
        let network = |prefix: &str| {
            let document = serde_json::json!({"Ipams": [{"Subnets": [{"IpAddressPrefix": prefix}]}]});
            serde_json::from_value::<Network>(document).unwrap()
        };
        let has = |prefix| subnet_of(&network(prefix)).is_some();
        assert!(["192.0.2.0/24", "192.0.0.0/16", "198.51.100.128/25", "198.51.100.7/32"].into_iter().all(has));
        assert!(!["192.0.3.0/24", "0.0.0.0/0", "10.0.0.0/8", "::/0", "x"].into_iter().any(has));
    }

    #[test]
    fn a_mac_address_has_letters_in_both_cases() {
        for number in [1, 2, 3] {
            let mac = endpoint(number, false).mac_address;
            let has = |is_case: fn(&char) -> bool| mac.chars().any(|letter| is_case(&letter));
            assert!(has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase), "{mac}");
        }
    }
}
