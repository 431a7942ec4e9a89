//! What the desired state of a Service depends on besides the Service.

use std::net::IpAddr;

use crate::model::Family;
use crate::network::Networks;
use crate::settings::{Capabilities, Host, Node, Settings};

#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub settings: &'a Settings,
    /// `None` on networks that need none, and before its endpoint was found.
    pub source_vip: Option<IpAddr>,
    pub host: &'a Host,
    pub node: &'a Node,
    pub networks: &'a Networks,
    pub capabilities: &'a Capabilities,
}

impl Context<'_> {
    /// Whether a family is programmed. Overlay networks have the node's primary family only. Before HNS 11.10 only IPv4 is programmed, on
    /// nodes whose primary family it is.
    pub(crate) fn has_family(&self, family: Family) -> bool {
        // As in kube-proxy, which uses dual stack only if HNS supports it and the network is not an overlay.
        self.networks.any_supports(family)
            && (self.capabilities.ipv6 || family == Family::V4 && self.host.primary_family() == Family::V4)
    }
}
