//! HNS versions and the features of each.
//!
//! The features follow from the version that `GET /globals/version` returns. Version ranges are those of hnslib 0.1.2
//! (`hcn/hcnglobals.go`).

use serde::{Deserialize, Serialize};

/// A version of HNS, which is not that of Windows: Server 2022 has HNS 13.3, Server 2025 has HNS 15.4 or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    /// The major version.
    pub major: u32,
    /// The minor version.
    pub minor: u32,
}

impl Version {
    /// Creates a version.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (major, minor) = text.split_once('.')?;
            Some(Self::new(major.parse().ok()?, minor.parse().ok()?))
        };
        parse().ok_or_else(|| format!("invalid HNS version {text:?}: expected e.g. 15.5"))
    }
}

macro_rules! features {
    ($($field:ident, $name:literal, $doc:literal: [$($from:expr $(=> $to:expr)?),*];)*) => {
        /// The features of one version of HNS.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct Features { $(#[doc = $doc] pub $field: bool,)* }

        impl Features {
            /// The features of a version.
            pub fn of(version: Version) -> Self {
                Self { $($field: false $(|| in_range(version, $from, None $(.or(Some($to)))?))*,)* }
            }

            /// The name of each feature, as in hnslib, and whether it is available.
            pub fn list(&self) -> Vec<(&'static str, bool)> {
                vec![$(($name, self.$field),)*]
            }
        }
    };
}

/// Whether a version is at least `from`, and its major version at most `through`.
fn in_range(version: Version, from: (u32, u32), through: Option<u32>) -> bool {
    version >= Version::new(from.0, from.1) && through.is_none_or(|major| version.major <= major)
}

// `[(9, 3) => 9, (10, 2)]`: from 9.3 on within major version 9, and from 10.2 on.
features! {
    v2, "Api.V2", "The HCN functions with schema 2.": [(9, 2)];
    acl, "Acl", "ACL policies with address lists, port ranges and rule ids.": [(7, 2)];
    remote_subnet, "RemoteSubnet", "Remote subnets of overlay networks.": [(9, 2)];
    host_route, "HostRoute", "Host routes of overlay networks.": [(9, 2)];
    dsr, "DSR", "Direct server return.": [(9, 3) => 9, (10, 2)];
    slash32_endpoint_prefixes, "Slash32EndpointPrefixes", "Endpoints with host prefixes.": [(9, 3) => 9, (10, 4)];
    acl_protocol_252, "AclSupportForProtocol252", "ACLs on protocol 252.": [(11, 0)];
    ipv6_dual_stack, "IPv6DualStack", "IPv6 beside IPv4.": [(11, 10)];
    session_affinity, "SessionAffinity", "Load balancers with session affinity.": [(12, 0)];
    set_policy, "SetPolicy", "Sets of addresses.": [(13, 0)];
    vxlan_port, "VxlanPort", "A VXLAN port other than 4789.": [(10, 3)];
    l4_proxy, "L4Proxy", "Redirection to a proxy.": [(9, 5) => 9, (10, 5) => 10, (11, 11) => 11, (12, 1) => 12, (13, 1)];
    l4_wfp_proxy, "L4WfpProxy", "Redirection to a proxy by the Windows Filtering Platform.": [(13, 2)];
    tier_acl, "TierAcl", "ACLs in tiers.": [(14, 0)];
    network_acl, "NetworkACL", "ACLs on networks.": [(15, 0)];
    nested_ip_set, "NestedIpSet", "Sets of sets.": [(15, 0)];
    disable_host_port, "DisableHostPort", "Networks without a port for the host.": [(15, 1)];
    accelnet, "Accelnet", "Accelerated networking.": [(15, 4)];
    modify_load_balancer, "ModifyLoadbalancer", "Updating a load balancer in place. 15.4 reports success and changes nothing (kubernetes 131466).": [(15, 5)];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(major: u32, minor: u32) -> Features {
        Features::of(Version::new(major, minor))
    }

    #[test]
    fn features_may_have_several_version_ranges() {
        assert!(of(10, 0).v2 && !of(10, 0).dsr);
        assert!(of(10, 2).dsr && !of(10, 2).slash32_endpoint_prefixes);
        assert!(of(9, 5).dsr && of(9, 5).slash32_endpoint_prefixes && of(9, 5).l4_proxy);
        assert!(!of(12, 0).l4_proxy && !of(13, 0).l4_proxy && of(13, 1).l4_proxy);
        assert!(!of(9, 1).v2 && of(9, 2).v2);
    }

    #[test]
    fn modify_requires_15_5() {
        assert!(!of(15, 4).modify_load_balancer);
        assert!(of(15, 5).modify_load_balancer && of(15, 6).modify_load_balancer && of(16, 0).modify_load_balancer);
    }

    #[test]
    fn each_version_has_its_features() {
        let row = |major, minor| {
            let f = of(major, minor);
            (f.v2, f.dsr, f.vxlan_port, f.ipv6_dual_stack, f.session_affinity, f.network_acl, f.accelnet)
        };
        assert_eq!(row(9, 1), (false, false, false, false, false, false, false));
        assert_eq!(row(9, 5), (true, true, false, false, false, false, false));
        assert_eq!(row(10, 5), (true, true, true, false, false, false, false));
        assert_eq!(row(11, 11), (true, true, true, true, false, false, false));
        assert_eq!(row(14, 0), (true, true, true, true, true, false, false));
        assert_eq!(row(15, 2), (true, true, true, true, true, true, false));
        assert_eq!(row(15, 4), (true, true, true, true, true, true, true));
    }

    #[test]
    fn versions_parse_and_print() {
        assert_eq!("15.5".parse::<Version>(), Ok(Version::new(15, 5)));
        assert_eq!(Version::new(9, 2).to_string(), "9.2");
        assert!("15".parse::<Version>().is_err());
    }
}
