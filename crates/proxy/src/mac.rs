//! The MAC address that kube-proxy derives from the address of a remote endpoint. hnsproxy uses the same addresses, so
//! that hnsproxy and kube-proxy adopt each other's endpoints.

use std::net::IpAddr;

use hcn::schema::Endpoint;

/// The MAC address of a remote endpoint: `02-11-` and four bytes of its address, for IPv6 the last four in reverse order.
pub(crate) fn derived_mac(address: IpAddr) -> String {
    let [a, b, c, d] = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let [.., w, x, y, z] = v6.octets();
            [z, y, x, w]
        }
    };
    format!("02-11-{a:02x}-{b:02x}-{c:02x}-{d:02x}")
}

/// Whether the MAC address of an endpoint is the one derived from its first address. If so, kube-proxy or hnsproxy
/// created the endpoint.
pub(crate) fn has_derived_mac(document: &Endpoint) -> bool {
    document.addresses().next().is_some_and(|address| is_derived_mac(&document.mac_address, address))
}

/// Whether a MAC address, in any spelling, is the one derived from an address.
pub(crate) fn is_derived_mac(mac: &str, address: IpAddr) -> bool {
    digits(mac).eq(digits(&derived_mac(address)))
}

fn digits(mac: &str) -> impl Iterator<Item = u8> {
    mac.bytes().filter(u8::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use hcn::schema::IpConfiguration;

    use super::*;

    #[test]
    fn mac_addresses_are_those_of_kube_proxy() {
        assert_eq!(derived_mac("10.244.2.7".parse().unwrap()), "02-11-0a-f4-02-07");
        assert_eq!(derived_mac("fd00::2:3".parse().unwrap()), "02-11-03-00-02-00");
    }

    #[test]
    fn a_derived_mac_address_is_recognized_in_any_spelling() {
        let of = |mac_address: &str| {
            let address = IpConfiguration { ip_address: "10.244.2.7".into(), ..IpConfiguration::default() };
            let mac_address = mac_address.to_owned();
            has_derived_mac(&Endpoint { mac_address, ip_configurations: vec![address], ..Endpoint::default() })
        };
        assert!(of("02-11-0a-f4-02-07") && of("02:11:0A:F4:02:07"));
        assert!(!of("02-11-0a-f4-02-08") && !of(""));
        assert!(!has_derived_mac(&Endpoint::default()));
    }
}
