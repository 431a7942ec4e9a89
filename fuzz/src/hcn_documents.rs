//! Documents of the HCN (v2) API: what was decoded is the same after it was encoded and decoded again.

use std::fmt::Debug;

use hcn::ApiVersion;
use hcn::schema::{Endpoint, LoadBalancer, Network, Policy, RemoteSubnetRoute};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::replies::read_all;

pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(network) = survives::<Network>(text) {
        network.prefixes().for_each(drop);
        network.policies.iter().for_each(|policy| drop(policy.as_remote_subnet()));
    }
    if let Some(endpoint) = survives::<Endpoint>(text) {
        endpoint.addresses().for_each(drop);
        endpoint.provider_address();
    }
    if let Some(load_balancer) = survives::<LoadBalancer>(text) {
        load_balancer.endpoint_ids().for_each(drop);
        load_balancer.vips().for_each(drop);
    }
    survives::<Policy>(text);
    survives::<RemoteSubnetRoute>(text);
    read_all(ApiVersion::V2, text);
}

/// Decodes a document, encodes it, and decodes it again.
pub(crate) fn survives<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &str) -> Option<T> {
    let document: T = serde_json::from_str(text).ok()?;
    is_the_same_when_decoded(&document);
    Some(document)
}

pub(crate) fn is_the_same_when_decoded<T: DeserializeOwned + Serialize + PartialEq + Debug>(document: &T) {
    let text = serde_json::to_string(document).unwrap_or_default();
    let again = serde_json::from_str::<T>(&text).map_err(|error| error.to_string());
    assert_eq!(again.as_ref(), Ok(document), "{text}");
}
