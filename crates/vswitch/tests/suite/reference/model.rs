//! The input of the reference engine and the switch: plain values, from which the documents for the switch are made.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};
use vswitch::PortId;

use crate::world::{NETWORK, id};

/// An endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) number: u128,
    pub(crate) network: u128,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) is_remote: bool,
    pub(crate) is_host: bool,
    pub(crate) provider_address: Option<IpAddr>,
    pub(crate) nat: Option<Nat>,
}

/// An `OutBoundNAT` policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Nat {
    /// Everything but the prefix.
    Except(IpNet),
    /// Only the address.
    Only(IpAddr),
}

impl Endpoint {
    pub(crate) fn port(&self) -> PortId {
        if self.is_host { PortId::Host } else { PortId::Endpoint(id(self.number)) }
    }

    pub(crate) fn document(&self) -> Value {
        let mut policies = Vec::new();
        if let Some(address) = self.provider_address {
            policies.push(json!({ "Type": "ProviderAddress", "Settings": { "ProviderAddress": address } }));
        }
        match &self.nat {
            Some(Nat::Except(prefix)) => {
                policies.push(json!({ "Type": "OutBoundNAT", "Settings": { "Exceptions": [prefix.to_string()] } }));
            }
            Some(Nat::Only(address)) => {
                policies.push(json!({ "Type": "OutBoundNAT", "Settings": { "Destinations": [address] } }));
            }
            None => {}
        }
        let addresses: Vec<Value> = self.addresses.iter().map(|address| json!({ "IpAddress": address })).collect();
        json!({
            "Name": if self.is_host { "cbr0" } else { "" },
            "HostComputeNetwork": id(self.network).to_string(),
            "IpConfigurations": addresses,
            "Flags": u32::from(self.is_remote),
            "Policies": policies,
        })
    }
}

/// A load balancer with one port mapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadBalancer {
    pub(crate) number: u128,
    pub(crate) backends: Vec<u128>,
    pub(crate) vips: Vec<IpAddr>,
    pub(crate) source_vip: Option<IpAddr>,
    pub(crate) is_dsr: bool,
    pub(crate) is_ipv6: bool,
    pub(crate) mapping_flags: u32,
    pub(crate) distribution: u32,
    pub(crate) protocol: u32,
}

impl LoadBalancer {
    pub(crate) fn document(&self) -> Value {
        crate::world::balancer(
            &self.backends,
            json!({
                "FrontendVIPs": self.vips,
                "SourceVIP": self.source_vip,
                "Flags": u32::from(self.is_dsr) | u32::from(self.is_ipv6) << 1,
                "MappingFlags": self.mapping_flags,
                "Distribution": self.distribution,
                "Protocol": self.protocol,
            }),
        )
    }
}

/// The endpoints of a random world: pods, the host's, and remote ones. Some can change their policy.
pub(crate) fn endpoint(number: u128, is_overlay: bool, has_policy: bool) -> Endpoint {
    let node = if number < 0x20 { 1 } else { 2 };
    // 0x11 is the pod 11, and so on.
    let host = number % 16 + 10;
    let is_remote = number >= 0x20;
    let policy = match number {
        _ if !has_policy || is_remote => None,
        0x11 => Some(Nat::Only(format!("10.244.1.{host}").parse().unwrap())),
        _ => Some(Nat::Except("10.0.0.0/8".parse().unwrap())),
    };
    Endpoint {
        number,
        network: NETWORK,
        addresses: vec![
            format!("10.244.{node}.{host}").parse().unwrap(),
            format!("fd00:{node}::{host}").parse().unwrap(),
        ],
        is_remote,
        is_host: number == 0x12,
        provider_address: (is_remote && is_overlay).then(|| format!("10.0.0.{}", number % 2 + 5).parse().unwrap()),
        nat: policy,
    }
}
