//! The checks: questions to HNS. Each has one short answer.

use hcn::Error;
use serde::{Deserialize, Serialize};

macro_rules! checks {
    ($($name:ident: $text:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum Check { $(#[doc = $text] $name,)* }

        impl Check {
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

checks! {
    Members: "members of documents can be read";
    LoadBalancerLists: "load balancers in the v1 list and in the v2 list";
    EndpointLists: "endpoints in the v1 list and in the v2 list";
    V1Ids: "spelling of ids in v1 documents";
    UnknownNamespace: "opening an unknown namespace";
    UnknownLoadBalancer: "opening an unknown load balancer";
    LocalEndpoints: "local endpoints have the policies for direct server return";
    EndpointId: "id of a created endpoint";
    MacAddress: "MAC address of a created endpoint";
    LoadBalancerId: "id of a created load balancer";
    V2List: "a created load balancer in the v2 list";
    V1List: "a created load balancer in the v1 list";
    V1State: "a created load balancer in v1, applied or not";
    SameFrontend: "creating a second load balancer on a frontend";
    SameId: "creating a load balancer with an id in use";
    NoBackend: "creating a load balancer without a backend";
    UnknownMember: "creating a load balancer with an unknown member";
    Modify: "modifying the backends of a load balancer";
    Delete: "deleting a load balancer";
    ReusedId: "creating a load balancer with the id of a deleted one";
    OutsideSubnets: "creating a local endpoint outside the subnets of the network";
    UnknownNetwork: "creating an endpoint in an unknown network through v1";
    DeleteUnknownEndpoint: "deleting an unknown endpoint through v1";
    Measurement: "creating and deleting objects repeatedly";
    Removed: "objects of the probe after its end";
    V1Lists: "the lists of the HNS v1 API are lists in an envelope";
    EmptyFilter: "a filter without a match returns an empty list";
    UnknownNetworkId: "opening an unknown network";
    UnknownEndpoint: "opening an unknown endpoint";
    NetworkName: "a network is found by its name in any case";
    RemoteEndpoint: "a remote endpoint keeps address and flag, and is in both lists";
    RemotePrefixLength: "prefix length of a remote endpoint outside the subnets of the network";
    DeleteEndpoint: "deleting a remote endpoint";
    LoadBalancerDocument: "a load balancer is returned as it was sent";
    FreedFrontend: "creating a load balancer on the frontend of a deleted one";
    FreedPort: "creating a load balancer without an address on the port of a deleted one";
    NoInternalPort: "creating a load balancer without an internal port";
    UnattachedBackend: "creating a load balancer with a local backend that is not attached";
    ReferencedEndpoint: "an endpoint that is a backend can be deleted, and then its load balancer";
    DeleteNetwork: "deleting a network deletes its endpoints, and load balancers without other backends";
    V1Deletion: "deleting a load balancer through v1 deletes it in v2";
    InvalidJson: "creating a load balancer with settings that are not JSON";
    UnknownMemberOfNamespace: "creating a namespace with an unknown member";
    LocalAddress: "creating a local endpoint with the address of another";
    LocalAddressOfRemote: "creating a local endpoint with the address of a remote one";
    ChosenAddress: "a local endpoint gets an address and a MAC address of its network";
    V1Schema: "the HCN (v2) API accepts a network in the v1 schema";
    Namespace: "an endpoint is added to a namespace and removed";
    EndpointPolicies: "policies of an endpoint are replaced by type";
    MappedPort: "mapping an external port a second time";
    RemoteSubnet: "a route to a remote subnet is added to a network and removed";
    Attachment: "an endpoint of the HNS v1 API is attached to the host, and has statistics";
}

/// The answer of HNS to a check.
pub struct Answer {
    /// One of a few words, or a code such as `0x803b0013`.
    pub observed: String,
    pub detail: Option<String>,
}

impl Answer {
    pub fn with(observed: &str, detail: Option<String>) -> Self {
        Self { observed: observed.to_owned(), detail }
    }
}

impl From<&str> for Answer {
    fn from(observed: &str) -> Self {
        Self::with(observed, None)
    }
}

impl From<String> for Answer {
    fn from(observed: String) -> Self {
        Self { observed, detail: None }
    }
}

/// Its code, if it has one. The message also has what HNS adds to the text of the code.
impl From<&Error> for Answer {
    fn from(error: &Error) -> Self {
        let observed = error.code().map_or_else(|| answer::NO_CODE.to_owned(), |code| format!("{code:?}"));
        Self { observed, detail: Some(error.to_string()) }
    }
}

/// Whether a call succeeds, or the code of its error.
impl<T> From<Result<T, Error>> for Answer {
    fn from(result: Result<T, Error>) -> Self {
        match result {
            Ok(_) => answer::SUCCEEDS.into(),
            Err(error) => Self::from(&error),
        }
    }
}

/// The answers of checks that are not error codes.
pub mod answer {
    pub const ALL: &str = "all";
    pub const SOME_NOT: &str = "some not";
    pub const SAME: &str = "the same";
    pub const DIFFERENT: &str = "different";
    pub const UPPER_CASE: &str = "upper case";
    pub const LOWER_CASE: &str = "lower case";
    pub const BOTH_CASES: &str = "both cases";
    pub const KEPT: &str = "kept";
    pub const CHANGED: &str = "changed";
    pub const CHOSEN_BY_HNS: &str = "chosen by HNS";
    pub const PRESENT: &str = "present";
    pub const MISSING: &str = "missing";
    pub const OTHER_BACKENDS: &str = "other backends";
    pub const SUCCEEDS: &str = "succeeds";
    pub const MEMBER_DROPPED: &str = "succeeds without it";
    pub const NO_EFFECT: &str = "succeeds without effect";
    pub const SECOND_ATTEMPT: &str = "succeeds at the second attempt";
    pub const LEFT: &str = "succeeds and leaves it";
    pub const IN_ENVELOPE: &str = "fails in the envelope only";
    pub const NO_CODE: &str = "fails without a code";
    pub const NONE: &str = "none";
    pub const YES: &str = "yes";
    pub const NO: &str = "no";
    /// What the check needs could not be made.
    pub const NOT_ASKED: &str = "not asked";
    pub const NOT_CONFIRMED: &str = "not confirmed";
}
