//! The checks of a probe. Each has one short answer.

use hcn::Error;
use serde::{Deserialize, Serialize};

macro_rules! checks {
    ($($name:ident: $text:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub(crate) enum Check { $(#[doc = $text] $name,)* }

        impl Check {
            pub(crate) fn text(self) -> &'static str {
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
}

/// The answer of HNS to a check.
pub(crate) struct Answer {
    /// One of a few words, or a code such as `0x803b0013`.
    pub(crate) observed: String,
    pub(crate) detail: Option<String>,
}

impl Answer {
    pub(crate) fn with(observed: &str, detail: Option<String>) -> Self {
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

/// The answers of checks that are no error codes.
pub(crate) mod answer {
    pub(crate) const ALL: &str = "all";
    pub(crate) const SOME_NOT: &str = "some not";
    pub(crate) const SAME: &str = "the same";
    pub(crate) const DIFFERENT: &str = "different";
    pub(crate) const UPPER_CASE: &str = "upper case";
    pub(crate) const LOWER_CASE: &str = "lower case";
    pub(crate) const BOTH_CASES: &str = "both cases";
    pub(crate) const KEPT: &str = "kept";
    pub(crate) const CHANGED: &str = "changed";
    pub(crate) const CHOSEN_BY_HNS: &str = "chosen by HNS";
    pub(crate) const PRESENT: &str = "present";
    pub(crate) const MISSING: &str = "missing";
    pub(crate) const OTHER_BACKENDS: &str = "other backends";
    pub(crate) const SUCCEEDS: &str = "succeeds";
    pub(crate) const MEMBER_DROPPED: &str = "succeeds without it";
    pub(crate) const NO_EFFECT: &str = "succeeds without effect";
    pub(crate) const SECOND_ATTEMPT: &str = "succeeds at the second attempt";
    pub(crate) const LEFT: &str = "succeeds and leaves it";
    pub(crate) const IN_ENVELOPE: &str = "fails in the envelope only";
    pub(crate) const NO_CODE: &str = "fails without a code";
    pub(crate) const NONE: &str = "none";
    pub(crate) const NOT_CONFIRMED: &str = "not confirmed";
}
