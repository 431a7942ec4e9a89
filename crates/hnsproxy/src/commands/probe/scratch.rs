//! The objects that a probe creates: recognized by their ids, or by their contents if HNS has chosen other ids, and removed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use hcn::schema::{
    Endpoint, EndpointFlags, IpConfiguration, LoadBalancer, LoadBalancerFlags, Policy, PortMapping, Protocol,
};
use hcn::{ApiVersion, Class, Client, Error, Guid, Hcn, Kind};

use super::raw;

/// Marks the ids: the first four bytes of the SHA-256 of `hnsproxy probe`.
const MARK: [u8; 4] = [0x40, 0x1b, 0xea, 0x34];
/// The name of the endpoints. Those of kube-proxy and hnsproxy have none.
const ENDPOINT_NAME: &str = "hnsproxy-probe";
/// The port of the frontends. With an address for documentation, no other program has it.
const PORT: u16 = 65123;
/// The third bytes of the addresses: TEST-NET-1 for endpoints, TEST-NET-2 for frontends (RFC 5737).
const TEST_NET_1: [u8; 3] = [192, 0, 2];
const TEST_NET_2: [u8; 3] = [198, 51, 100];
/// HNS may refuse a deletion once, or while it works.
const MAX_ATTEMPTS: usize = 3;

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
            internal_port: 8080,
            external_port: PORT,
            ..PortMapping::default()
        }],
        flags: LoadBalancerFlags::NONE.with(LoadBalancerFlags::DSR, dsr),
        ..LoadBalancer::default()
    }
}

pub(super) fn is_load_balancer(document: &LoadBalancer) -> bool {
    let in_test_net = |vip: IpAddr| matches!(vip, IpAddr::V4(vip) if vip.octets().starts_with(&TEST_NET_2));
    let by_content = !document.frontend_vips.is_empty()
        && document.vips().count() == document.frontend_vips.len()
        && document.vips().all(in_test_net)
        && document.port_mappings.iter().all(|mapping| mapping.external_port == PORT)
        && !document.port_mappings.is_empty();
    by_content || document.id.is_some_and(is_marked)
}

fn is_endpoint(document: &Endpoint) -> bool {
    document.id.is_some_and(is_marked) || document.name == ENDPOINT_NAME
}

fn is_marked(id: Guid) -> bool {
    id.get_version_num() == 8 && id.as_bytes().starts_with(&MARK)
}

/// Removes all objects of probes. Returns how many there were, and those that HNS has in the end.
///
/// # Errors
/// If HNS cannot be listed.
pub(super) fn remove(hcn: &dyn Hcn, client: &Client) -> Result<(usize, BTreeSet<(Kind, Guid)>), Error> {
    let mut seen = BTreeSet::new();
    let mut round = 1;
    loop {
        let found = match found(hcn, client) {
            Err(error) if round < MAX_ATTEMPTS => {
                tracing::warn!(%error, "cannot list the objects of the probe; retrying");
                round += 1;
                continue;
            }
            found => found?,
        };
        if found.is_empty() || round > MAX_ATTEMPTS {
            return Ok((seen.len(), found));
        }
        // Load balancers first: HNS may refuse to delete an endpoint with references. `Kind` has endpoints first.
        for (kind, id) in found.iter().rev() {
            if let Err(error) = delete(client, *kind, *id) {
                tracing::warn!(%error, ?kind, %id, "cannot delete an object of the probe");
            }
        }
        seen.extend(found);
        round += 1;
    }
}

/// Deletes an object. Returns whether the first attempt succeeded.
///
/// # Errors
/// If no attempt succeeds.
pub(super) fn delete(client: &Client, kind: Kind, id: Guid) -> Result<bool, Error> {
    let attempt = || match kind {
        Kind::Endpoint => client.delete_endpoint(id),
        _ => client.delete_load_balancer(id),
    };
    let mut result = attempt();
    let is_first = result.is_ok();
    for _ in 1..MAX_ATTEMPTS {
        if result.is_ok() {
            break;
        }
        result = attempt();
    }
    result.map(|()| is_first)
}

/// Whether HNS has an object.
///
/// # Errors
/// If it cannot be read.
pub(super) fn exists(client: &Client, id: Guid) -> Result<bool, Error> {
    match client.load_balancer(id) {
        Ok(_) => Ok(true),
        Err(error) if error.class() == Class::Absent => Ok(false),
        Err(error) => Err(error),
    }
}

/// The objects of probes that HNS has. The v1 lists have contents, those of the HCN (v2) API are complete.
fn found(hcn: &dyn Hcn, client: &Client) -> Result<BTreeSet<(Kind, Guid)>, Error> {
    let mut found = BTreeSet::new();
    let marked = |kind: Kind, id: Guid| is_marked(id).then_some((kind, id));
    found.extend(client.load_balancers_from_v1_list(|listed| {
        let is_probe = matches!(&listed.document, Some(Ok(document)) if is_load_balancer(document));
        if is_probe { Some((Kind::LoadBalancer, listed.id)) } else { marked(Kind::LoadBalancer, listed.id) }
    })?);
    found.extend(client.endpoints_from_v1_list(|listed| {
        let is_probe = matches!(&listed.document, Some(Ok(document)) if is_endpoint(document));
        if is_probe { Some((Kind::Endpoint, listed.id)) } else { marked(Kind::Endpoint, listed.id) }
    })?);
    if client.api_version() == ApiVersion::V2 {
        for kind in [Kind::LoadBalancer, Kind::Endpoint] {
            found.extend(raw::v2_ids(hcn, kind)?.into_iter().filter_map(|id| marked(kind, id)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_recognized_with_and_without_their_ids() {
        let with_id = |id| LoadBalancer { id: Some(id), ..LoadBalancer::default() };
        let other = Guid::from_u128(1);
        assert!(is_load_balancer(&with_id(id(1))) && !is_load_balancer(&with_id(other)));
        assert!(!proxy::identity::is_ours(id(1)));
        let ours = LoadBalancer { id: Some(other), ..load_balancer(1, true, &[]) };
        assert!(is_load_balancer(&ours));
        assert!(!is_load_balancer(&LoadBalancer { frontend_vips: vec!["10.96.0.1".into()], ..ours.clone() }));
        assert!(!is_load_balancer(&LoadBalancer { frontend_vips: vec![], ..ours.clone() }));
        let mut other_port = ours;
        other_port.port_mappings.iter_mut().for_each(|mapping| mapping.external_port = 80);
        assert!(!is_load_balancer(&other_port));
        assert!(is_endpoint(&endpoint(11, false)));
        assert!(!is_endpoint(&Endpoint { name: "pod".into(), ..endpoint(11, true) }));
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
