//! Why an audit failed.

use crate::network_pattern::ANY;
use crate::source_vip::SourceVipAbsent;

/// Why an audit failed. Nothing is written until an audit succeeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// A call failed, or its answer is invalid.
    #[error("cannot read HNS")]
    Hns(#[from] hcn::Error),
    #[error(
        "network {} not found in HNS{}; wait for the CNI to create it, or set --network-name or KUBE_NETWORK",
        if name == ANY { "of the pods".to_owned() } else { format!("{name:?}") },
        if known.is_empty() { String::new() } else { format!(" (known: {})", known.join(", ")) }
    )]
    NetworkAbsent {
        name: String,
        /// The names of the networks that HNS has, as far as it lists them.
        known: Vec<String>,
    },
    /// Several networks match a pattern, and none of them was used before.
    #[error(
        "network {} not unique in HNS (known: {}); set --network-name or KUBE_NETWORK to one of them",
        if name == ANY { "of the pods".to_owned() } else { format!("{name:?}") }, candidates.join(", ")
    )]
    NetworkAmbiguous {
        /// The pattern.
        name: String,
        /// The networks that match it, sorted.
        candidates: Vec<String>,
    },
    #[error("network {name:?} has no id in HNS")]
    NetworkWithoutId { name: String },
    /// The source VIP is the address of an endpoint that the overlay network does not have.
    #[error("{0}")]
    SourceVipAbsent(SourceVipAbsent),
    /// An overlay network cannot be programmed with these settings, or on this host.
    #[error("cannot use overlay network {name:?}: missing {needs}")]
    OverlayNeeds {
        name: String,
        /// What is missing, and where it comes from.
        needs: &'static str,
    },
}

impl AuditError {
    /// The reason of a Kubernetes Event: one word in CamelCase.
    pub fn reason(&self) -> &'static str {
        match self {
            AuditError::Hns(_) => "HNSUnavailable",
            AuditError::NetworkAbsent { .. } => "NetworkAbsent",
            AuditError::SourceVipAbsent(_) => "SourceVIPAbsent",
            AuditError::NetworkAmbiguous { .. } => "NetworkAmbiguous",
            AuditError::NetworkWithoutId { .. } => "NetworkWithoutId",
            AuditError::OverlayNeeds { .. } => "OverlayNeedsMore",
        }
    }
}
