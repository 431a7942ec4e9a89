//! Where the source VIP of an overlay network comes from, and what is missing while it is not known.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use smol_str::SmolStr;

use crate::model::Family;

/// Where the source address of translated traffic comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceVip {
    Address(IpAddr),
    /// The address of the first of these local endpoints that the overlay network has. The CNI creates them, so hnsproxy creates none at this
    /// address.
    Endpoints(Vec<SmolStr>),
    /// As `Endpoints` with the names that CNIs use. Without them, an address that is reserved for it.
    Auto,
}

/// The endpoints of [`SourceVip::Auto`]: that of Calico, and that of the Windows Machine Config Operator.
static WELL_KNOWN_ENDPOINTS: [SmolStr; 2] = [SmolStr::new_static("Calico_ep"), SmolStr::new_static("VIPEndpoint")];

impl SourceVip {
    /// The address, if the settings have it.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Endpoints(_) | Self::Auto => None,
        }
    }

    /// The names of the endpoints that have the address. None if the settings have it.
    pub fn endpoints(&self) -> Option<&[SmolStr]> {
        match self {
            Self::Address(_) => None,
            Self::Endpoints(names) => Some(names),
            Self::Auto => Some(&WELL_KNOWN_ENDPOINTS),
        }
    }
}

impl fmt::Display for SourceVip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Endpoints(names) => write!(f, "endpoint:{}", names.join(",")),
            Self::Auto => f.write_str("auto"),
        }
    }
}

/// The overlay network has none of the endpoints whose address is the source VIP.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceVipAbsent {
    /// The endpoints of the settings.
    pub names: Vec<SmolStr>,
    pub network: String,
    pub family: Family,
    /// The names of the local endpoints that the network has, sorted.
    pub known: Vec<SmolStr>,
    /// The address of the endpoint before it vanished: the load balancers keep it.
    pub in_use: Option<IpAddr>,
    /// Why no address was reserved instead.
    pub not_reserved: Option<String>,
}

/// A request to reserve the source VIP in an overlay network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceVipRequest {
    pub network: String,
    /// Those of the family of the source VIP.
    pub subnets: Vec<IpNet>,
    /// The addresses in the subnets that endpoints have.
    pub taken: BTreeSet<IpAddr>,
}

/// A node has an endpoint for each pod. More names would not help to find the right one.
const MAX_NAMES: usize = 8;

impl fmt::Display for SourceVipAbsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { names, network, family, known, in_use, not_reserved } = self;
        let family = if *family == Family::V4 { "IPv4" } else { "IPv6" };
        write!(f, "endpoint {}: not found with an {family} address in network {network:?}", names.join(" or "))?;
        if !known.is_empty() {
            write!(f, " (known: {}", known.iter().take(MAX_NAMES).map(SmolStr::as_str).collect::<Vec<_>>().join(", "))?;
            let rest = known.len().saturating_sub(MAX_NAMES);
            if rest > 0 {
                write!(f, ", and {rest} more")?;
            }
            f.write_str(")")?;
        }
        if let Some(reason) = not_reserved {
            write!(f, ", and no address was reserved: {reason}")?;
        }
        if let Some(address) = in_use {
            write!(f, "; load balancers keep the source VIP {address}")?;
        }
        f.write_str("; wait for the CNI to create it, or set --source-vip")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_at_most_eight_endpoints() {
        let names = |count: usize| (1..=count).map(|number| format!("ep{number}").into()).collect();
        let absent = |known| SourceVipAbsent {
            names: vec!["Calico_ep".into(), "VIPEndpoint".into()],
            network: "Calico".into(),
            family: Family::V4,
            known: names(known),
            in_use: (known == 10).then_some([10, 244, 1, 2].into()),
            not_reserved: None,
        };
        let start = "endpoint Calico_ep or VIPEndpoint: not found with an IPv4 address in network \"Calico\"";
        let end = "; wait for the CNI to create it, or set --source-vip";
        assert_eq!(absent(0).to_string(), format!("{start}{end}"));
        assert_eq!(absent(2).to_string(), format!("{start} (known: ep1, ep2){end}"));
        let full = SourceVipAbsent { not_reserved: Some("no free address in 10.244.1.0/24".into()), ..absent(0) };
        let reason = ", and no address was reserved: no free address in 10.244.1.0/24";
        assert_eq!(full.to_string(), format!("{start}{reason}{end}"));
        assert_eq!(
            absent(10).to_string(),
            format!(
                "{start} (known: ep1, ep2, ep3, ep4, ep5, ep6, ep7, ep8, and 2 more); load balancers keep the source VIP 10.244.1.2{end}"
            )
        );
    }
}
