//! What the desired state of every Service depends on besides the Service.

use crate::model::Family;
use crate::network::Networks;
use crate::settings::{Capabilities, Host, Node, Settings};

/// What all Services' wishes depend on.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What the operator sets.
    pub settings: &'a Settings,
    /// What the host knows of itself.
    pub host: &'a Host,
    /// This node.
    pub node: &'a Node,
    /// The networks.
    pub networks: &'a Networks,
    /// What HNS can do.
    pub capabilities: &'a Capabilities,
}

impl Context<'_> {
    /// The families that are programmed: both where HNS can and a network is no overlay, else the node's primary one. IPv6 only where
    /// HNS can.
    pub(crate) fn has_family(&self, family: Family) -> bool {
        self.networks.any_supports(family)
            && (self.capabilities.ipv6 || family == Family::V4 && self.host.primary_family() == Family::V4)
    }
}
