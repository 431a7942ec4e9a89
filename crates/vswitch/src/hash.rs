//! The hash with which load balancers select backends. VFP's hash is not known; this one is as good as any that is stable and uniform.

use std::net::{IpAddr, SocketAddr};

use hcn::schema::DistributionType;

use crate::Tuple;

/// FNV-1a with the final mixing of SplitMix64: FNV alone leaves the low bits uneven, and a modulo uses these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }

    pub(crate) fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.bytes(&address.octets()),
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    pub(crate) fn socket(self, address: SocketAddr) -> Self {
        self.address(address.ip()).bytes(&address.port().to_be_bytes())
    }

    pub(crate) fn finish(self) -> u64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The hash of what a distribution type depends on. Source:
/// [HCN JSON documents](https://learn.microsoft.com/windows-server/networking/technologies/hcn/hcn-json-document-schemas),
/// `LoadBalancerDistribution`.
pub(crate) fn of_flow(distribution: DistributionType, tuple: &Tuple) -> Hash {
    let addresses = Hash::new().address(tuple.source.ip()).address(tuple.destination.ip());
    match distribution {
        DistributionType::SOURCE_IP => addresses,
        DistributionType::SOURCE_IP_PROTOCOL => addresses.bytes(&tuple.protocol.0.to_be_bytes()),
        // An unknown type counts as the default.
        _ => Hash::new().bytes(&tuple.protocol.0.to_be_bytes()).socket(tuple.source).socket(tuple.destination),
    }
}
