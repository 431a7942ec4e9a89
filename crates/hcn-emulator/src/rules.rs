//! All rejections of the emulated HNS: the condition, the code, and the evidence.

use hcn::Hresult;

/// The evidence for a rule, with its source: an issue of a GitHub repository, a file or a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Microsoft's documentation, headers or scripts.
    Documented(&'static str),
    /// Required by a test of hnslib.
    Tested(&'static str),
    /// Observed on real nodes, in issues and logs.
    Field(&'static str),
    /// Assumed, without evidence.
    Assumed,
}

/// A rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub name: &'static str,
    /// What HNS rejects.
    pub what: &'static str,
    pub code: Hresult,
    /// What the error record says beyond the text of the code.
    pub detail: &'static str,
    pub evidence: Evidence,
}

macro_rules! rules {
    ($($name:ident: $what:literal => $code:ident $([$detail:literal])?, $evidence:ident $(($source:literal))?;)*) => {
        $(#[doc = $what] pub const $name: Rule = Rule {
            name: stringify!($name),
            what: $what,
            code: Hresult::$code,
            detail: concat!("" $(, $detail)?),
            evidence: Evidence::$evidence $(($source))?,
        };)*

        pub const ALL: &[Rule] = &[$($name),*];
    };
}

rules! {
    NO_V2: "HCN functions before HNS 9.2" => E_NOTIMPL, Assumed;
    INVALID_JSON: "settings that are not JSON, or have a member of the wrong type" => HCN_E_INVALID_JSON, Documented("computenetwork.h");
    UNKNOWN_MEMBER: "a member that the published schema lacks" => HCN_E_INVALID_JSON, Field("a report on Windows Server 2022 and 2025");
    INVALID_HANDLE: "a handle that is not open" => E_HANDLE, Assumed;
    OBJECT_GONE: "an open object that was deleted" => HCN_E_OBJECT_USED_AFTER_UNLOAD, Documented("computenetwork.h");
    UNKNOWN_NETWORK: "an unknown network id" => HCN_E_NETWORK_NOT_FOUND, Field("microsoft/WSL 9908");
    NETWORK_OF_NEW_ENDPOINT: "an unknown network in `POST /endpoints/`" => ELEMENT_NOT_FOUND, Field("a report on HNS 16.0");
    UNKNOWN_ENDPOINT: "an unknown endpoint id" => HCN_E_ENDPOINT_NOT_FOUND, Field("Azure/azure-container-networking 715");
    UNKNOWN_NAMESPACE: "an unknown namespace id" => ELEMENT_NOT_FOUND, Field("antrea 2301");
    UNKNOWN_LOAD_BALANCER: "an unknown load balancer id" => ELEMENT_NOT_FOUND, Assumed;
    UNKNOWN_ROUTE: "an unknown route id" => ELEMENT_NOT_FOUND, Assumed;
    UNKNOWN_PATH: "an unknown path of HNSCall" => ELEMENT_NOT_FOUND, Assumed;
    DUPLICATE_ID: "an id in use" => ERROR_ALREADY_EXISTS, Assumed;
    DUPLICATE_NETWORK: "a network id or name in use" => HCN_E_NETWORK_ALREADY_EXISTS, Documented("computenetwork.h");
    DUPLICATE_ICS_NETWORK: "an ICS network with the name of another" => ERROR_DUP_NAME, Field("ocroz/wsl2-boot 3");
    UNKNOWN_NETWORK_TYPE: "an unknown network type" => HCN_E_INVALID_NETWORK_TYPE, Assumed;
    INVALID_PREFIX: "an invalid subnet prefix, or one with host bits set" => HCN_E_INVALID_PREFIX, Assumed;
    OVERLAPPING_SUBNETS: "subnets of one network that overlap" => HCN_E_INVALID_SUBNET, Assumed;
    UNKNOWN_POLICY: "a policy of an unknown type" => HCN_E_INVALID_POLICY_TYPE, Assumed;
    EXCEPTION_HOST_BITS: "an `OutBoundNAT` exception with host bits, since Server 2022" => HCN_E_INVALID_POLICY, Field("microsoft/hcsshim 1951");
    ACL_ANY: "an ACL with the address `Any`" => HCN_E_INVALID_POLICY, Field("microsoft/hcsshim 1059");
    NO_NETWORK_HANDLE: "HcnCreateEndpoint without an open network" => E_HANDLE, Assumed;
    NOT_IN_SUBNET: "a local address outside the subnets of the network" => HCN_E_INVALID_IP, Field("logs of containerd's NAT plugin");
    NO_IPV6_SUBNET: "a local IPv6 address in a network without an IPv6 subnet" => HCN_E_SUBNET_NOT_FOUND, Field("microsoft/Windows-Containers 82");
    RESERVED_ADDRESS: "a local address that is the network, gateway or broadcast address" => HCN_E_ADDR_INVALID_OR_RESERVED, Documented("computenetwork.h");
    ADDRESS_IN_USE: "a local address that a local endpoint of the network has" => HCN_E_ADDR_INVALID_OR_RESERVED, Field("docker/for-win 13965, kubernetes 100962");
    ADDRESS_EXISTS: "a local address in use, by `HNSCall` of HNS 9" => ERROR_OBJECT_ALREADY_EXISTS, Field("kubernetes 74766");
    REMOTE_HAS_ADDRESS: "a local address that a remote endpoint has, on some builds" => HCN_E_ADDR_INVALID_OR_RESERVED, Assumed;
    NO_FREE_ADDRESS: "a local endpoint without an address, in a network without a free one" => E_OUTOFMEMORY, Assumed;
    NO_FREE_MAC: "a local endpoint without a MAC address, in a network without a free one" => E_OUTOFMEMORY, Assumed;
    INVALID_ADDRESS: "an invalid address" => HCN_E_INVALID_IP, Documented("computenetwork.h");
    REMOTE_WITHOUT_MAC: "a remote endpoint without a MAC address" => HCN_E_INVALID_REMOTE_ENDPOINT_OPERATION, Assumed;
    REMOTE_PORT: "a port mapping or ACL on a remote endpoint, or its attachment" => HCN_E_INVALID_REMOTE_ENDPOINT_OPERATION, Documented("computenetwork.h");
    MAPPING_IN_USE: "a port mapping of an endpoint with an external port that is mapped" => HCN_E_PORT_ALREADY_EXISTS, Tested("hnslib hcn/hcnerrors_test.go");
    NO_PORT_MAPPING: "a load balancer without a port mapping" => HCN_E_INVALID_POLICY, Assumed;
    UNBALANCED_PROTOCOL: "a load balancer for a protocol other than TCP and UDP" => HCN_E_INVALID_POLICY, Assumed;
    NO_BACKEND: "a load balancer without a backend" => HCN_E_INVALID_JSON_REFERENCE ["A Reference is required"], Field("kubernetes 100384");
    NO_INTERNAL_PORT: "a load balancer without an internal port" => HCN_E_INVALID_INTERNAL_PORT, Documented("computenetwork.h");
    BACKEND_NO_ID: "a backend that is not an id" => HCN_E_GUID_CONVERSION_FAILURE, Assumed;
    UNKNOWN_BACKEND: "an unknown backend" => HCN_E_ENDPOINT_NOT_FOUND, Assumed;
    BACKENDS_OF_NETWORKS: "backends of more than one network" => HCN_E_INVALID_POLICY, Assumed;
    UNATTACHED_BACKEND: "a local backend without a switch port, on real nodes" => HCN_E_PORT_NOT_FOUND, Field("microsoft/hcsshim 1043");
    UNREADABLE_VIP: "an invalid address of a frontend" => HCN_E_INVALID_IP, Assumed;
    FRONTEND_IN_USE: "an address, protocol and port that a load balancer has" => HCN_E_PORT_ALREADY_EXISTS, Assumed;
    FRONTEND_RESTORED: "an address, protocol and port of a load balancer that HNS restored after a restart" => ERROR_ALREADY_EXISTS, Field("kubernetes 139519");
    PORT_RESERVED: "a port of the host that a process uses, or that is leaked" => HCN_E_PORT_ALREADY_EXISTS, Field("kubernetes 137530");
    PORT_LISTENED: "a port on any address that a process listens on, on some builds" => HCN_E_PORT_ALREADY_EXISTS, Field("kubernetes/community 8883");
    NO_DSR: "direct server return before HNS 9.3 or 10.2" => HCN_E_REQUEST_UNSUPPORTED, Assumed;
    NO_AFFINITY: "a distribution by source address before HNS 12.0" => HCN_E_REQUEST_UNSUPPORTED, Assumed;
    NO_IPV6: "an IPv6 load balancer before HNS 11.10" => HCN_E_REQUEST_UNSUPPORTED, Assumed;
    NO_MODIFY: "modifying a load balancer before HNS 15.4" => E_NOTIMPL, Tested("hnslib TestLoadBalancerAddRemoveEndpoint");
    OTHER_ID: "a modification of a load balancer with the id of another" => E_INVALIDARG, Assumed;
    FIRST_DELETE: "the first attempt to delete a load balancer, on some builds" => ERROR_GEN_FAILURE, Assumed;
    NO_SUCH_RESOURCE: "a modify request for an unknown resource" => HCN_E_REQUEST_UNSUPPORTED, Assumed;
    DUPLICATE_POLICY: "a remote subnet that the network has" => HCN_E_POLICY_ALREADY_EXISTS, Assumed;
    IN_NAMESPACE: "an endpoint that is in a namespace" => HCN_E_ENDPOINT_NAMESPACE_ALREADY_EXISTS, Documented("computenetwork.h");
    NOT_IN_NAMESPACE: "removal of an endpoint or container from a namespace that it is not in" => ELEMENT_NOT_FOUND, Assumed;
    NO_CONTAINER: "a container of a namespace without an id" => E_INVALIDARG, Assumed;
    ALREADY_ATTACHED: "attaching an endpoint that is attached" => HCN_E_ENDPOINT_ALREADY_ATTACHED, Field("projectcalico/calico 4280");
    NOT_ATTACHED: "detaching an endpoint that is not attached" => HCN_E_ENDPOINT_NOT_ATTACHED, Documented("computenetwork.h");
    NO_ACCELNET: "accelerated networking before HNS 15.4" => E_NOTIMPL, Assumed;
    SERVICE_DOWN: "any call while the service is down" => RPC_S_SERVER_UNAVAILABLE, Assumed;
}

/// The rules without evidence: a real HNS may behave differently.
pub fn assumed() -> impl Iterator<Item = &'static Rule> {
    ALL.iter().filter(|rule| rule.evidence == Evidence::Assumed)
}
