//! The checks of a probe. Each has one short answer.

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
    UnknownNamespace: "opening an unknown namespace";
    UnknownLoadBalancer: "opening an unknown load balancer";
    LocalEndpoints: "local endpoints have the policies for direct server return";
}

/// The answers of checks that are no error codes.
pub(crate) mod answer {
    pub(crate) const ALL: &str = "all";
    pub(crate) const SOME_NOT: &str = "some not";
    pub(crate) const SAME: &str = "the same";
    pub(crate) const DIFFERENT: &str = "different";
    pub(crate) const SUCCEEDS: &str = "succeeds";
}
