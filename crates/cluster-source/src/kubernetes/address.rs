//! Parses IP addresses as Kubernetes does.

use std::net::{IpAddr, Ipv4Addr};

/// Parses an address as Kubernetes does: numbers of IPv4 addresses may have leading zeros and are decimal, and an IPv4-mapped IPv6 address
/// is an IPv4 address. Old objects have such addresses. The result is canonical, so that equal addresses compare equal.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical()),
        Err(_) => with_leading_zeros(text).map(IpAddr::V4),
    }
}

fn with_leading_zeros(text: &str) -> Option<Ipv4Addr> {
    let octets: Option<Vec<u8>> = text
        .split('.')
        .map(|octet| octet.bytes().all(|byte| byte.is_ascii_digit()).then(|| octet.parse().ok())?)
        .collect();
    <[u8; 4]>::try_from(octets?).ok().map(Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_as_kubernetes_does() {
        let read = |text| parse(text).map(|address| address.to_string());
        assert_eq!(read("010.0.0.09").as_deref(), Some("10.0.0.9"));
        assert_eq!(read("::ffff:10.1.2.3").as_deref(), Some("10.1.2.3"));
        assert_eq!(read("FD00:0::1").as_deref(), Some("fd00::1"));
        for bad in ["", "None", "10.0.0", "10.0.0.256", "10.0.0.+1", "10.0.0.1 ", "10.0.0.1/8", "a.b.c.d"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
