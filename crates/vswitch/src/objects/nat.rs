//! The `OutBoundNAT` policies of an endpoint. Their members are those of Microsoft's schema documents and of the CNI plugins.

use std::net::IpAddr;

use hcn::schema::Policy;
use ipnet::IpNet;
use serde_json::Value;

/// An `OutBoundNAT` policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OutboundNat {
    /// The new source address; the node's if there is none.
    pub(crate) virtual_ip: Option<IpAddr>,
    /// Destinations that are not translated.
    exceptions: Vec<IpNet>,
    /// The only destinations that are translated; all if empty.
    destinations: Vec<IpNet>,
}

impl OutboundNat {
    /// `None` if the policy has another type.
    pub(crate) fn read(policy: &Policy) -> Option<Self> {
        if !policy.is("OutBoundNAT") {
            return None;
        }
        let settings = &policy.settings;
        // Some CNI configurations have the names of the HNS v1 API.
        let virtual_ip = settings.get("VirtualIP").or_else(|| settings.get("VIP"));
        Some(Self {
            virtual_ip: virtual_ip.and_then(Value::as_str).and_then(|text| text.parse().ok()),
            exceptions: prefixes(settings.get("Exceptions").or_else(|| settings.get("ExceptionList"))),
            destinations: prefixes(settings.get("Destinations")),
        })
    }

    /// Whether the policy translates only some destinations. CNI plugins create one for the address of the endpoint itself (`loopbackDSR`).
    pub(crate) fn is_for_destinations(&self) -> bool {
        !self.destinations.is_empty()
    }

    pub(crate) fn applies_to(&self, destination: IpAddr) -> bool {
        let within = |prefixes: &[IpNet]| prefixes.iter().any(|prefix| prefix.contains(&destination));
        (self.destinations.is_empty() || within(&self.destinations)) && !within(&self.exceptions)
    }
}

/// The valid prefixes of a list. An address is a prefix of full length.
fn prefixes(list: Option<&Value>) -> Vec<IpNet> {
    let texts = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let read = |text: &str| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    texts.filter_map(read).collect()
}
