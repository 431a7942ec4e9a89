//! Documents of the HNS v1 API: what was decoded is the same after it was encoded and decoded again, and its v2 document is the same after a
//! conversion to v1 and back.

use std::fmt::Debug;

use hcn::ApiVersion;
use hcn::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use hcn::schema::{Document, Endpoint, LoadBalancer, Network};

use crate::hcn_documents::{is_the_same_when_decoded, survives};
use crate::replies::read_all;

/// The number of addresses in a policy list. hnsproxy writes one port and one address.
const MAX_COPIES: usize = 10_000;

pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(v1) = survives::<HnsNetwork>(text) {
        is_stable(Network::from(v1), |v2| Some(HnsNetwork::from(v2).into()));
    }
    if let Some(v1) = survives::<HnsEndpoint>(text) {
        is_stable(Endpoint::from(v1), |v2| Some(HnsEndpoint::from(v2).into()));
    }
    if let Some(Ok(v2)) = survives::<PolicyList>(text).map(LoadBalancer::try_from) {
        // In v1, each port has a copy of the addresses.
        if v2.port_mappings.len().saturating_mul(v2.frontend_vips.len()) < MAX_COPIES {
            is_stable(v2, |v2| LoadBalancer::try_from(PolicyList::from(v2)).ok());
        }
    }
    read_all(ApiVersion::V1, text);
}

/// What v1 cannot express is lost in the first round, and nothing in the next.
fn is_stable<T: Document + PartialEq + Debug>(document: T, round: impl Fn(&T) -> Option<T>) {
    // Unreadable members keep the names of v1, which v2 does not know.
    let is_readable = document.unreadable_members().is_empty();
    if is_readable {
        is_the_same_when_decoded(&document);
    }
    let Some(first) = round(&document) else { return };
    let second = round(&first);
    if is_readable {
        assert_eq!(second.as_ref(), Some(&first));
    }
}
