//! The addresses that no frontend may have.

use std::net::IpAddr;

/// Why an address cannot be a frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressClass {
    /// `0.0.0.0` and `::`: every address of the node.
    Unspecified,
    /// `127.0.0.0/8` and `::1`.
    Loopback,
    /// `224.0.0.0/4` and `ff00::/8`.
    Multicast,
    /// `255.255.255.255`
    Broadcast,
    /// `169.254.0.0/16`, which has the metadata services of clouds, and `fe80::/10`.
    LinkLocal,
}

impl AddressClass {
    /// The class of an address that cannot be a frontend. None for any other address, also for one of this node: some load balancers report the
    /// addresses of nodes as their own.
    pub fn forbidden(address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
        let is_link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        [
            (address.is_unspecified(), Self::Unspecified),
            (address.is_loopback(), Self::Loopback),
            (address.is_multicast(), Self::Multicast),
            (is_broadcast, Self::Broadcast),
            (is_link_local, Self::LinkLocal),
        ]
        .into_iter()
        .find_map(|(is_member, class)| is_member.then_some(class))
    }
}

impl std::fmt::Display for AddressClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AddressClass::Unspecified => "the unspecified address",
            AddressClass::Loopback => "a loopback address",
            AddressClass::Multicast => "a multicast address",
            AddressClass::Broadcast => "the broadcast address",
            AddressClass::LinkLocal => "a link-local address",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_node_itself_and_of_many_hosts_are_forbidden() {
        let class = |text: &str| AddressClass::forbidden(text.parse().unwrap());
        for (class_of, texts) in [
            (Some(AddressClass::Unspecified), &["0.0.0.0", "::", "::ffff:0.0.0.0"][..]),
            (Some(AddressClass::Loopback), &["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]),
            (Some(AddressClass::Multicast), &["224.0.0.5", "239.255.255.255", "ff00::", "ff02::1"]),
            (Some(AddressClass::Broadcast), &["255.255.255.255", "::ffff:255.255.255.255"]),
            (Some(AddressClass::LinkLocal), &["169.254.169.254", "fe80::1", "febf::1"]),
            (
                None,
                &[
                    "0.0.0.1",
                    "10.0.0.1",
                    "126.255.255.255",
                    "223.255.255.255",
                    "240.0.0.1",
                    "::2",
                    "fd00::1",
                    "fec0::1",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(class(text), class_of, "{text}");
            }
        }
    }
}
