//! Ids that carry content.
//!
//! Every object of ours has a version 8 UUID of this form: `[owner, 32 bits][frontend or address, 28 bits][content, 62 bits]`. The
//! content of a load balancer has two parts, `[all but the backends, 30 bits][everything, 32 bits]`: the first stays true when its
//! backends are modified in place. So a list of ids tells which objects are ours, which are missing, and which differ from the desired
//! ones; a restart with nothing to do needs no documents. Contents compare as values: how HNS spells an address, and the order of
//! backends, make no difference.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{Document, Endpoint, LoadBalancer, Policy, Unreadable};
use sha2::{Digest, Sha256};

use crate::frontend::Frontend;
use crate::settings::Capabilities;

/// Marks our objects: the first four bytes of the SHA-256 of `hnsproxy`.
const OWNER: [u8; 4] = [0xd4, 0xba, 0x1a, 0x24];

/// The hash of an object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content(u64);

impl Content {
    /// Unknown content. No real content is expected to have this hash.
    pub const UNKNOWN: Self = Self(0);

    /// Another value for the same content. It gives an object a second id if an object with other content has the first
    /// one.
    pub fn alternative(self) -> Self {
        Self(!self.0)
    }
}

/// The hashes of a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadBalancerContent {
    pub whole: Content,
    /// All but the backends. Load balancers of one shape can be modified into each other in place.
    pub shape: Content,
}

pub fn is_ours(id: Guid) -> bool {
    id.get_version_num() == 8 && id.as_bytes().starts_with(&OWNER)
}

/// The unreadable members that are part of the content of a load balancer. With one of them, the content equals no desired content. Whether it
/// really differs is not known.
pub fn unreadable_load_balancer_content(document: &LoadBalancer) -> impl Iterator<Item = Unreadable> {
    let is_content = |one: &Unreadable| !matches!(one.member.as_str(), "ID" | "SchemaVersion");
    document.unreadable_members().into_iter().filter(is_content)
}

/// The members that say where an endpoint is, in v2 and in v1: its addresses, and whether it is remote.
pub const ENDPOINT_PLACE: [&str; 6] =
    ["Flags", "IpConfigurations", "IpConfigurations.IpAddress", "IsRemoteEndpoint", "IPAddress", "IPv6Address"];

/// As [`unreadable_load_balancer_content`], for an endpoint.
pub fn unreadable_endpoint_content(document: &Endpoint) -> impl Iterator<Item = Unreadable> {
    let others = ["MacAddress", "Policies", "Policies.Type"];
    let is_content =
        move |one: &Unreadable| ENDPOINT_PLACE.contains(&one.member.as_str()) || others.contains(&one.member.as_str());
    document.unreadable_members().into_iter().filter(is_content)
}

impl LoadBalancerContent {
    pub const UNKNOWN: Self = Self { whole: Content::UNKNOWN, shape: Content::UNKNOWN };
}

/// The content of an endpoint: network, addresses, MAC address, provider address, remote or local.
pub fn endpoint_content(network: Guid, endpoint: &Endpoint) -> Content {
    let (mac, provider) = (&endpoint.mac_address, endpoint.provider_address());
    let mut text = endpoint_text(network, endpoint.is_remote(), endpoint.addresses(), mac, provider);
    // With an invalid address, the content differs from that without the address.
    let addresses = endpoint.ip_configurations.iter().map(|ip| ip.ip_address.as_str());
    for invalid in addresses.filter(|address| !address.is_empty() && address.parse::<IpAddr>().is_err()) {
        push(&mut text, format_args!(" {invalid:?}"));
    }
    let providers = endpoint.policies.iter().filter(|policy| policy.is(Policy::PROVIDER_ADDRESS));
    for invalid in providers.filter(|policy| policy.as_provider_address().is_none()) {
        push(&mut text, format_args!(" {}", invalid.settings));
    }
    push_unreadable(&mut text, unreadable_endpoint_content(endpoint));
    hash(&text)
}

/// Computes the content of an endpoint with one address without creating its document.
pub fn content_of_endpoint_at(
    address: IpAddr,
    network: Guid,
    remote: bool,
    mac: &str,
    provider: Option<IpAddr>,
) -> Content {
    hash(&endpoint_text(network, remote, [address].into_iter(), mac, provider))
}

fn endpoint_text(
    network: Guid,
    remote: bool,
    addresses: impl Iterator<Item = IpAddr>,
    mac: &str,
    provider: Option<IpAddr>,
) -> String {
    let mut text = String::with_capacity(128);
    push(&mut text, format_args!("endpoint {network} {remote}"));
    addresses.for_each(|address| push(&mut text, format_args!(" {address}")));
    text.push(' ');
    text.extend(mac.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase()));
    push(&mut text, format_args!(" {provider:?}"));
    text
}

/// The content of a load balancer. Flags that the API in use cannot express are ignored, because they would differ in
/// every document that is read back.
pub fn load_balancer_content(document: &LoadBalancer, capabilities: &Capabilities) -> LoadBalancerContent {
    let mut text = String::with_capacity(128);
    push(&mut text, format_args!("load balancer {}", document.flags.masked(capabilities.flags).0));
    let mut vips: Vec<String> =
        document.frontend_vips.iter().map(|vip| vip.parse().map_or(vip.clone(), |ip: IpAddr| ip.to_string())).collect();
    vips.sort_unstable();
    push(&mut text, format_args!(" {vips:?}"));
    let source_vip = document.source_vip.parse::<IpAddr>().map_or(document.source_vip.clone(), |ip| ip.to_string());
    push(&mut text, format_args!(" {source_vip}"));
    for mapping in &document.port_mappings {
        let flags = mapping.flags.masked(capabilities.mapping_flags);
        push(
            &mut text,
            format_args!(
                " {}:{}:{}:{}:{}",
                mapping.protocol.0, mapping.external_port, mapping.internal_port, mapping.distribution_type.0, flags.0
            ),
        );
    }
    push_unreadable(&mut text, unreadable_load_balancer_content(document));
    let mut hasher = Sha256::new_with_prefix(&text);
    let shape = content_of(hasher.clone());
    let id = |text: &String| text.parse::<Guid>().map_or(text.to_ascii_lowercase(), |id| id.to_string());
    let mut endpoints: Vec<String> = document.host_compute_endpoints.iter().map(id).collect();
    endpoints.sort_unstable();
    for endpoint in &endpoints {
        hasher.update(b" ");
        hasher.update(endpoint);
    }
    LoadBalancerContent { whole: content_of(hasher), shape }
}

fn push(text: &mut String, more: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(more);
}

fn push_unreadable(text: &mut String, unreadable: impl Iterator<Item = Unreadable>) {
    unreadable.for_each(|Unreadable { member, value }| push(text, format_args!(" {member}={value}")));
}

pub fn load_balancer_id(frontend: Frontend, content: LoadBalancerContent) -> Guid {
    let (shape, whole) = (content.shape.0 & 0xffff_ffff_0000_0000, content.whole.0 >> 32);
    id(&frontend, Content(shape | whole))
}

/// The part of a load balancer's id that stays true when its backends are modified in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lineage([u8; 12]);

impl Lineage {
    pub fn of(id: Guid) -> Self {
        let mut first = [0; 12];
        first.iter_mut().zip(id.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(first)
    }
}

pub fn endpoint_id(address: IpAddr, content: Content) -> Guid {
    id(&address, content)
}

fn id(key: &impl fmt::Display, content: Content) -> Guid {
    let key = hash(&key.to_string()).0;
    let [o0, o1, o2, o3] = OWNER;
    let [k0, k1, k2, k3, ..] = key.to_be_bytes();
    let [c0, c1, c2, c3, c4, c5, c6, c7] = content.0.to_be_bytes();
    // Version and variant overwrite the upper half of the seventh byte and the upper two bits of the ninth.
    uuid::Builder::from_custom_bytes([o0, o1, o2, o3, k0, k1, k2, k3, c0, c1, c2, c3, c4, c5, c6, c7]).into_uuid()
}

fn hash(text: &str) -> Content {
    content_of(Sha256::new_with_prefix(text))
}

fn content_of(hasher: Sha256) -> Content {
    let mut first = [0; 8];
    first.iter_mut().zip(hasher.finalize()).for_each(|(to, from)| *to = from);
    Content(u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use hcn::schema::{DistributionType, LoadBalancerFlags, PortMapping, PortMappingFlags, Protocol};
    use hcn::{ApiVersion, Version};
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    fn document() -> LoadBalancer {
        LoadBalancer {
            host_compute_endpoints: vec![Guid::from_u128(1).to_string(), Guid::from_u128(0xab).to_string()],
            frontend_vips: vec!["fd00::1".into()],
            port_mappings: vec![PortMapping { protocol: Protocol::TCP, external_port: 80, ..Default::default() }],
            ..LoadBalancer::default()
        }
    }

    fn content(document: &LoadBalancer) -> LoadBalancerContent {
        load_balancer_content(document, &Capabilities::of(Version::new(15, 5), ApiVersion::V2))
    }

    #[test]
    fn ids_are_version_8_and_recognized_as_ours() {
        let frontend = Frontend::of(&document()).next().unwrap();
        let id = load_balancer_id(frontend, content(&document()));
        assert!(is_ours(id));
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert!(!is_ours(Guid::from_u128(id.as_u128() ^ (1 << 127))));
        assert!(!is_ours(Guid::new_v4()));
    }

    #[test]
    fn only_a_change_of_backends_keeps_the_lineage() {
        let lineage = |change: &dyn Fn(&mut LoadBalancer)| {
            let mut document = document();
            change(&mut document);
            let frontend = Frontend::of(&document).next().unwrap();
            let id = load_balancer_id(frontend, content(&document));
            (id, Lineage::of(id))
        };
        let (base, fewer) = (lineage(&|_| ()), lineage(&|d| d.host_compute_endpoints.truncate(1)));
        assert!(base.0 != fewer.0 && base.1 == fewer.1);
        assert_ne!(base.1, lineage(&|d| d.flags = LoadBalancerFlags::DSR).1);
        assert_ne!(base.1, lineage(&|d| d.frontend_vips = vec!["fd00::2".into()]).1);
    }

    #[test]
    fn spelling_and_order_do_not_change_the_content() {
        let mut other = document();
        other.host_compute_endpoints.reverse();
        other.host_compute_endpoints.iter_mut().for_each(|id| id.make_ascii_uppercase());
        other.frontend_vips = vec!["FD00:0::1".into()];
        assert_eq!(content(&document()), content(&other));
    }

    #[test]
    fn a_member_that_cannot_be_read_changes_the_content() {
        let plain = json!({"FrontendVIPs": ["10.0.0.1"], "PortMappings": [{"Protocol": 6, "ExternalPort": 80}]});
        let of = |document: &serde_json::Value| content(&LoadBalancer::deserialize(document).unwrap());
        for (pointer, value) in [
            ("", json!({"Flags": "Odd"})),
            ("", json!({"SourceVIP": []})),
            ("", json!({"HostComputeEndpoints": "x"})),
            ("", json!({"FrontendVIPs": ["10.0.0.1", {}]})),
            ("/PortMappings/0", json!({"InternalPort": -1})),
            ("/PortMappings/0", json!({"DistributionType": "Odd"})),
            ("/PortMappings/0", json!({"Flags": {}})),
        ] {
            let mut odd = plain.clone();
            let members = odd.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
            members.extend(value.as_object().unwrap().clone());
            assert_ne!(of(&odd), of(&plain), "{odd}");
        }
    }

    #[test]
    fn an_endpoint_with_a_member_that_cannot_be_read_has_other_content() {
        let of = |more: serde_json::Value| {
            let mut document = json!({"MacAddress": "02-11-0a-f4-02-07", "Flags": 1,
                "IpConfigurations": [{"IpAddress": "10.244.2.7"}]});
            document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            endpoint_content(Guid::nil(), &Endpoint::deserialize(&document).unwrap())
        };
        let plain = of(json!({}));
        for odd in [
            json!({"Policies": [{"Type": "ProviderAddress", "Settings": {"ProviderAddress": 7}}]}),
            json!({"Policies": [{"Type": []}]}),
            json!({"Policies": {}}),
            json!({"IpConfigurations": [{"IpAddress": "10.244.2.7"}, {"IpAddress": "10.244.2.256"}]}),
        ] {
            assert_ne!(of(odd.clone()), plain, "{odd}");
        }
        assert_eq!(
            of(json!({"Name": {}, "IpConfigurations": [{"IpAddress": "10.244.2.7", "PrefixLength": []}]})),
            plain
        );
    }

    #[test]
    fn every_field_changes_the_content_and_only_backends_keep_the_shape() {
        let base = content(&document());
        let changed = |change: &dyn Fn(&mut LoadBalancer)| {
            let mut document = document();
            change(&mut document);
            content(&document)
        };
        let fewer = changed(&|d| d.host_compute_endpoints.truncate(1));
        assert!(fewer.whole != base.whole && fewer.shape == base.shape);
        let others: [&dyn Fn(&mut LoadBalancer); 8] = [
            &|d| d.flags = LoadBalancerFlags::DSR,
            &|d| d.source_vip = "10.0.0.9".into(),
            &|d| d.frontend_vips = vec!["fd00::2".into()],
            &|d| d.port_mappings[0].protocol = Protocol::UDP,
            &|d| d.port_mappings[0].external_port = 81,
            &|d| d.port_mappings[0].internal_port = 81,
            &|d| d.port_mappings[0].distribution_type = DistributionType::SOURCE_IP,
            &|d| d.port_mappings[0].flags = PortMappingFlags::VIP_EXTERNAL_IP,
        ];
        for change in others {
            let other = changed(change);
            assert!(other.whole != base.whole && other.shape != base.shape);
        }
    }

    #[test]
    fn flags_missing_in_the_v1_api_do_not_change_the_content_there() {
        let v1 = Capabilities::of(Version::new(15, 5), ApiVersion::V1);
        let mut flagged = document();
        flagged.port_mappings[0].flags = PortMappingFlags::LOCAL_ROUTED_VIP;
        assert_eq!(load_balancer_content(&flagged, &v1), load_balancer_content(&document(), &v1));
    }
}
